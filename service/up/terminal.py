"""What `matchback up` writes: lines, on whatever is there to read them."""

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A line about what happens now."""
    console.print(f"[bold cyan]matchback[/]  {text}")
