"""`matchback org` and `matchback key`."""

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values


@click.group()
def org() -> None:
    """Organizations: the customers of the platform."""


@org.command("create")
@click.argument("name")
@click.option("--time-zone", default="UTC", help="Whose days reports show: America/New_York, …")
@click.option("--locale", default="en-US", help="Language and formats of the dashboard: de-DE, …")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
@audited
def create_organization(name: str, time_zone: str, locale: str, as_json: bool) -> None:
    """Add an organization, and an admin key for it, which is shown this once."""
    from documents.access.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.create(name, time_zone, locale)
    _, secret = ApiKey.issue(organization.id, "admin", ["admin"])
    print_values(
        {"organization_id": str(organization.id), "api_key": secret},
        f"Organization {organization.id}\nAdmin key, shown this once: {secret}",
        as_json,
    )


@org.command("set-locale")
@click.argument("organization_id")
@click.argument("locale")
@connected
@audited
def set_locale(organization_id: str, locale: str) -> None:
    """Set the language and the formats of an organization's dashboard, such as de-DE."""
    from documents.organization import Organization

    organization = Organization.named(organization_id).amend({"locale": locale})
    click.echo(f"Organization {organization.id} uses {organization.locale}.")


@click.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.argument("organization_id")
@click.option("--name", default="command line", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "admin"]),
    default=["read"],
    help="What it may do; repeat for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
@audited
def create_key(organization_id: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Add an API key to an organization; it is shown this once."""
    from documents.access.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.named(organization_id)
    made, secret = ApiKey.issue(organization.id, name, list(scopes))
    print_values(
        {"id": str(made.id), "api_key": secret}, f"Key, shown this once: {secret}", as_json
    )


@click.group("master-key")
def master_key() -> None:
    """What webhook secrets are sealed with: MATCHBACK_MASTER_KEYS."""


@master_key.command("new")
def new_master_key() -> None:
    """Print a new key. Put it first in MATCHBACK_MASTER_KEYS, and the older ones after it."""
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


@master_key.command("reseal")
@connected
@audited
def reseal() -> None:
    """Seal all webhook secrets with the first key; then the older keys can go."""
    from documents.webhook_key import WebhookKey

    click.echo(f"Resealed: {WebhookKey.reseal()}")
