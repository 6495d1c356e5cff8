"""`matchback completion`: a script for completion in the shell."""

import click

INSTALL_HINTS = {
    "bash": 'Add to ~/.bashrc:  eval "$(matchback completion bash)"',
    "zsh": 'Add to ~/.zshrc, after compinit:  eval "$(matchback completion zsh)"',
    "fish": "Run once:  matchback completion fish > ~/.config/fish/completions/matchback.fish",
}


@click.command(
    epilog="\b\n" + "\n".join(f"{shell}: {text}" for shell, text in INSTALL_HINTS.items())
)
@click.argument("shell", type=click.Choice(list(INSTALL_HINTS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a shell completion script."""
    from click.shell_completion import get_completion_class

    root = ctx.find_root()
    made = get_completion_class(shell)
    assert made
    script = made(root.command, {}, "matchback", "_MATCHBACK_COMPLETE").source()
    click.echo(f"# {INSTALL_HINTS[shell]}\n{script}")
