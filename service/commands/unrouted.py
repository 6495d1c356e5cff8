"""`matchback unrouted`: what shared provider accounts report, and no organization owns."""

import json

import click

from service.commands.audit import audited
from service.commands.connected import connected
from service.commands.tables import json_array_option, json_lines_option, print_table

provider_option = click.option("--provider", help="Limit to this provider, such as sendgrid.")


@click.group()
def unrouted() -> None:
    """Manage unrouted items of shared provider accounts.

    Matchback keeps an item here if it belongs to no known organization. No organization sees it.
    """


@unrouted.command("list")
@provider_option
@json_array_option("one object per provider, day and reason")
@connected
def list_counts(provider: str | None, as_json: bool) -> None:
    """Count unrouted items by provider, day (UTC) and reason, newest day first."""
    from documents.shared_accounts.unrouted import count_unrouted_items

    rows = [
        {
            "day": str(one.day),
            "provider": one.provider,
            "reason": one.reason,
            "items": one.items,
        }
        for one in count_unrouted_items(provider)
    ]
    print_table(["day", "provider", "reason", "items"], rows, as_json)


@unrouted.command("show")
@provider_option
@click.option(
    "--limit", type=click.IntRange(1), default=20, help="Maximum number of items to show."
)
@json_lines_option("per item")
@connected
@audited
def show_items(provider: str | None, limit: int, as_json: bool) -> None:
    """Show unrouted items as the provider sent them, newest posts first.

    The items contain email addresses.
    """
    from documents.shared_accounts.rules import UNROUTED_REASONS
    from documents.shared_accounts.unrouted import list_unrouted_items

    for one in list_unrouted_items(provider, limit):
        if as_json:
            row = {"post": str(one.post_id), "provider": one.provider, "reason": one.reason}
            click.echo(json.dumps({**row, "item": one.item}))
        else:
            click.echo(f"{one.provider} {one.post_id}: {UNROUTED_REASONS[one.reason]}")
            click.echo(f"  {json.dumps(one.item)}")


@unrouted.command("retry")
@provider_option
@connected
@audited
def retry(provider: str | None) -> None:
    """Route unrouted items again, for example after a bug fix.

    Workers do this in the background. Items whose email was recorded meanwhile are counted.
    """
    from documents.shared_accounts.unrouted import retry_all

    click.echo(f"Posts to route again: {retry_all(provider)}")
