"""`matchback sign-on`: the identity providers of organizations, for the operator."""

from typing import TYPE_CHECKING

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
            "The organization has no identity provider. Ask an admin to set one in the dashboard."
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
