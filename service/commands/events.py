"""`matchback replay` and `matchback relabel`: the repeated processing of stored events."""

import sys

import click

from service.commands.audit import audited
from service.commands.connected import connected


@click.command()
@click.option("--organization", "organization_id", metavar="ID", help="Limit to this organization.")
@click.option(
    "--since",
    metavar="TIME",
    help="Limit to deliveries received since this time, such as 2026-11-23T10:00Z.",
)
@click.option("--delivery", "delivery_id", metavar="ID", help="Limit to this delivery.")
@connected
@audited
def replay(organization_id: str | None, since: str | None, delivery_id: str | None) -> None:
    """Process stored webhook deliveries again.

    Use this command after a bug fix. Workers process them in the background. Events that were
    counted are not counted twice.
    """
    from bson import ObjectId

    from documents.organization import Organization
    from documents.tracking.replay import replay_deliveries as make_due
    from service.api.fields import read_time

    organization = Organization.named(organization_id).id if organization_id else None
    try:
        start = read_time(since) if since else None
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    if delivery_id is not None and not ObjectId.is_valid(delivery_id):
        raise click.UsageError("--delivery must be an ID of 24 hex digits.")
    total = 0
    for number in make_due(organization, start, ObjectId(delivery_id) if delivery_id else None):
        total += number
        if sys.stderr.isatty():
            click.echo(f"\r{total} deliveries", err=True, nl=False)
    click.echo(f"Deliveries to process again: {total}")


@click.command()
@connected
@audited
def relabel() -> None:
    """Classify stored clicks again.

    The current rule decides which clicks a machine made. Workers do this in the background whenever
    the rule changes.
    """
    from mongoengine import get_db

    from documents.concurrency.lease import hold_lease
    from documents.tracking.relabelling import EMAILS_PER_PAGE, Relabelling
    from jobs.periodic.relabel import RELABEL_LEASE
    from jobs.tasks import build_settling_policy

    rule = build_settling_policy().clicks
    with hold_lease(RELABEL_LEASE) as holding:
        if holding is None:
            raise click.ClickException(
                "A worker is classifying clicks. Run this command again when it has finished."
            )
        state = Relabelling.continue_with(rule, again=True)
        with click.progressbar(
            length=get_db().emails.estimated_document_count(),
            label="classifying",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as progress:
            while not holding.is_lost() and state.step(rule):
                progress.update(EMAILS_PER_PAGE)
        if holding.is_lost():
            raise click.ClickException("Another process took over and will finish the work.")
    click.echo(f"Clicks reclassified: {state.changed}")
