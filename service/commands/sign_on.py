"""`matchback sign-on`: the identity providers of organizations, for the operator."""

from typing import TYPE_CHECKING, TextIO

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.members import organization_option

if TYPE_CHECKING:
    from documents.sign_on.sign_on_provider import SignOnProvider


@click.group("sign-on")
def sign_on() -> None:
    """Manage single sign-on of organizations.

    Admins set their identity provider in the dashboard. See docs/explanation/single-sign-on.md.
    """


@sign_on.command("set")
@organization_option
@click.option("--issuer", required=True, metavar="URL", help="Issuer, exactly as published.")
@click.option("--client-id", required=True, metavar="ID", help="Client ID at the provider.")
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="File with the client secret; - for standard input.  [default: keep the present secret]",
)
@connected
@audited
def set_provider(
    organization_id: str, issuer: str, client_id: str, secret_file: TextIO | None
) -> None:
    """Set an organization's identity provider, or replace its client secret.

    Rules and domains of a present provider stay, and so do members. Another issuer ends the
    sessions that the former one began.
    """
    from documents.organization import Organization
    from documents.sign_on.provider_changes import change_provider

    secret = secret_file.read().strip() if secret_file is not None else None
    changed = change_provider(Organization.named(organization_id), issuer, client_id, secret)
    if changed.draft_id is not None:
        click.echo("The secret waits. An admin signs in with it on the page Single sign-on.")
        return
    click.echo("Provider set. Sign in through it before you require it.")


@sign_on.command("require")
@organization_option
@click.argument("required", type=click.Choice(["on", "off"]))
@connected
@audited
def require(organization_id: str, required: str) -> None:
    """Require single sign-on of an organization's staff, or accept passwords again.

    To switch it on, a member must be signed in through the provider with its present settings.
    """
    from documents.organization import Organization
    from documents.sign_on.requirement import (
        find_current_proof,
        require_single_sign_on,
        stop_requiring_single_sign_on,
    )

    organization = Organization.named(organization_id)
    if required == "off":
        stop_requiring_single_sign_on(organization)
        click.echo("Passwords open the organization again.")
        return
    provider = _find_provider(organization_id)
    require_single_sign_on(organization, provider, find_current_proof(provider))
    click.echo("Single sign-on is required. `matchback staff link` opens the organization, too.")


@sign_on.command("remove")
@organization_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@connected
@audited
def remove(organization_id: str, *, yes: bool) -> None:
    """Remove an organization's identity provider, and end the sessions that it began.

    Members stay. `matchback staff link` lets in a member who has no password.
    """
    from documents.sign_on.provider_changes import remove_provider

    provider = _find_provider(organization_id)
    if not yes:
        click.confirm(f"Remove the provider {provider.issuer}?", abort=True)
    remove_provider(provider.organization_id)
    click.echo("Provider removed. Staff sign in with a password.")


@sign_on.command("domains")
@organization_option
@click.argument("domains", nargs=-1)
@connected
@audited
def set_domains(organization_id: str, domains: tuple[str, ...]) -> None:
    """Replace the verified domains of an organization. Without DOMAINS, remove all.

    People with addresses in these domains come to the organization's identity provider, which can
    admit them. First verify that the domains belong to the organization.
    """
    changed = _find_provider(organization_id).set_domains(domains)
    click.echo(f"Verified domains: {', '.join(changed.domains) or 'none'}")


@sign_on.command("show")
@organization_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
def show(organization_id: str, as_json: bool) -> None:
    """Show an organization's identity provider, and whether it answers."""
    from documents.organization import Organization
    from service.sign_on.urls import build_back_channel_url, build_callback_url

    provider = _find_provider(organization_id)
    organization = Organization.named(organization_id)
    values = {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "domains": list(provider.domains),
        "admission": provider.admission,
        "required": bool(organization.requires_single_sign_on),
        "redirect_uri": build_callback_url(provider.organization_id),
        "back_channel_logout_uri": build_back_channel_url(provider.organization_id),
        "problem": _find_problem(provider),
    }
    lines = [f"{name}: {_to_text(value)}" for name, value in values.items()]
    print_values(values, "\n".join(lines), as_json)


def _find_provider(organization_id: str) -> "SignOnProvider":
    from documents.organization import Organization
    from documents.sign_on.sign_on_provider import SignOnProvider

    provider = SignOnProvider.of(Organization.named(organization_id).id)
    if provider is None:
        raise click.ClickException(
            "The organization has no identity provider. Set one with `matchback sign-on set`."
        )
    return provider


def _find_problem(provider: "SignOnProvider") -> str | None:
    """Return why sign-ins through the provider fail now, or None."""
    from documents.sign_on.discovery import discover_provider
    from documents.sign_on.rejections import SignOnRejected

    try:
        discover_provider(provider.issuer, is_fresh=True)
    except SignOnRejected as rejected:
        return rejected.reason
    return None


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value or "none")
