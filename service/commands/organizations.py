"""`matchback org`, `matchback key` and `matchback master-key`."""

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.organization_overview import list_organizations, show_organization
from service.commands.organization_removal import delete_organization, export_organization


@click.group()
def org() -> None:
    """Manage organizations, the customers of the platform."""


for command in (list_organizations, show_organization, export_organization, delete_organization):
    org.add_command(command)


@org.command("create")
@click.argument("name")
@click.option(
    "--time-zone", default="UTC", help="IANA time zone for reports, such as America/New_York."
)
@click.option(
    "--locale",
    default="en-US",
    help="Locale of the dashboard, such as de-DE.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
@audited
def create_organization(name: str, time_zone: str, locale: str, as_json: bool) -> None:
    """Create an organization.

    The command also creates an admin API key, which is shown only once.
    """
    from documents.access.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.create(name, time_zone, locale)
    _, secret = ApiKey.issue(organization.id, "admin", ["admin"])
    print_values(
        {"organization_id": str(organization.id), "api_key": secret},
        f"Organization {organization.id}\nAdmin API key, shown only once: {secret}",
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


@org.command("set-privacy")
@click.argument("organization_id")
@click.argument("donors", type=click.Choice(["show", "hide"]))
@connected
@audited
def set_privacy(organization_id: str, donors: str) -> None:
    """Show names, addresses, external IDs and attributes of donors to viewers, or hide them."""
    from documents.organization import Organization

    Organization.named(organization_id).amend({"hides_personal_data": donors == "hide"})
    verb = "see" if donors == "show" else "do not see"
    click.echo(f"Viewers {verb} personal data of donors.")


@click.group()
def key() -> None:
    """Manage API keys."""


@key.command("create")
@click.argument("organization_id")
@click.option("--name", default="command line", help="Name of the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "admin"]),
    default=["read"],
    help="Permission of the key; repeat for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
@audited
def create_key(organization_id: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create an API key for an organization. The key is shown only once."""
    from documents.access.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.named(organization_id)
    made, secret = ApiKey.issue(organization.id, name, list(scopes))
    print_values(
        {"id": str(made.id), "api_key": secret}, f"API key, shown only once: {secret}", as_json
    )


@click.group("master-key")
def master_key() -> None:
    """Manage the keys that encrypt secrets of webhooks and of single sign-on.

    The setting MATCHBACK_MASTER_KEYS holds them.
    """


@master_key.command("new")
def new_master_key() -> None:
    """Print a new master key. Put it first in MATCHBACK_MASTER_KEYS, before older keys."""
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


@master_key.command("reseal")
@connected
@audited
def reseal() -> None:
    """Encrypt all secrets with the first master key. You can then remove older keys."""
    from documents.outgoing.webhook_endpoint import WebhookEndpoint
    from documents.sign_on.sign_on_provider import SignOnProvider
    from documents.storage.resealing import reseal_records
    from documents.webhook_key import WebhookKey

    others = sum(reseal_records(kind) for kind in (WebhookEndpoint, SignOnProvider))
    resealed = WebhookKey.reseal() + others
    click.echo(f"Secrets encrypted again: {resealed}")
