"""`matchback webhook-key`: the keys that prove the requests of providers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values

if TYPE_CHECKING:
    from bson import ObjectId

    from documents.webhook_key import WebhookKey

Command = Callable[..., Any]


def owner_options(command: Command) -> Command:
    """Add the options that name a provider and the owner of its account."""
    for option in (
        click.option(
            "--organization", "organization_id", metavar="ID", help="Organization of the account."
        ),
        click.option("--shared", is_flag=True, help="The account serves many organizations."),
        click.option("--provider", required=True, help="Provider, such as sendgrid."),
    ):
        command = option(command)
    return command


@click.group("webhook-key")
def webhook_key() -> None:
    """Manage the keys that prove webhooks.

    Specify --shared for a provider account that serves many organizations, or --organization for
    an organization's own account.
    """


@webhook_key.command("set")
@owner_options
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the key.  [default: standard input]",
)
@click.option(
    "--tokens-only/--ids-too",
    default=None,
    show_default=False,
    help="With --shared: whether only link tokens may name emails.  [default: as before, or IDs "
    "too]",
)
@connected
@audited
def set_key(
    provider: str,
    *,
    shared: bool,
    organization_id: str | None,
    key_file: Path | None,
    tokens_only: bool | None,
) -> None:
    """Set the newest key. The key before it stays valid.

    The key is the provider's public key, or the secret that you share with the provider.
    """
    from documents.webhook_key import WebhookKey

    _find_owner(provider, shared, organization_id)
    if tokens_only is not None and not shared:
        raise click.UsageError("--tokens-only needs --shared.")
    key = _read_key(key_file)
    owner = _find_owner(provider, shared, organization_id)  # a deletion can begin at the prompt
    keys = WebhookKey.put(owner, provider, key)
    if tokens_only is not None:
        keys = keys.restrict_to_tokens(tokens_only)
    click.echo(f"Key set for {provider}. Valid keys: {len(keys.keys)}.")


@webhook_key.command("show")
@owner_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
def show_key(provider: str, *, shared: bool, organization_id: str | None, as_json: bool) -> None:
    """Show the valid keys, newest first: public keys, or the end of each secret."""
    from documents.providers.registry import PROVIDERS

    keys = _find_keys(provider, shared, organization_id)
    is_secret = PROVIDERS[provider].scheme.is_secret
    shown = [f"…{key.ends_with}" if is_secret else key.text for key in keys.all_keys()]
    set_at = keys.updated_at.isoformat(timespec="seconds")
    tokens_only = bool(keys.tokens_only)
    values = {"provider": provider, "keys": shown, "updated_at": set_at, "tokens_only": tokens_only}
    lines = [*shown, f"Last change: {set_at}"]
    lines += ["Only link tokens name emails."] if tokens_only else []
    print_values(values, "\n".join(lines), as_json)


@webhook_key.command("remove")
@owner_options
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@connected
@audited
def remove_key(provider: str, *, shared: bool, organization_id: str | None, yes: bool) -> None:
    """Remove all keys. Matchback then rejects the provider's requests."""
    keys = _find_keys(provider, shared, organization_id)
    if not yes:
        click.confirm(f"Remove the keys of {provider}?", abort=True)
    keys.delete()
    click.echo(f"Keys removed for {provider}.")


def _find_keys(provider: str, shared: bool, organization_id: str | None) -> "WebhookKey":
    from documents.webhook_key import WebhookKey

    keys = WebhookKey.of(_find_owner(provider, shared, organization_id), provider)
    if keys is None:
        raise click.ClickException(
            f"No key is set for {provider}. Set one with `matchback webhook-key set`."
        )
    return keys


def _find_owner(provider: str, shared: bool, organization_id: str | None) -> "ObjectId":
    from documents.organization import Organization
    from documents.providers.registry import EMAIL_PROVIDERS, PROVIDERS
    from documents.webhook_key import SHARED_ACCOUNTS_ID

    if shared == bool(organization_id):
        raise click.UsageError("Specify either --shared or --organization.")
    known = EMAIL_PROVIDERS if shared else list(PROVIDERS)
    if provider not in known:
        raise click.UsageError(f"--provider must be one of: {', '.join(known)}.")
    return SHARED_ACCOUNTS_ID if shared else Organization.named(str(organization_id)).id


def _read_key(key_file: Path | None) -> str:
    """Return the key from the file, from a hidden prompt on a terminal, or from standard input."""
    if key_file is not None:
        return key_file.read_text("utf-8", "replace")
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True))
    return sys.stdin.read()
