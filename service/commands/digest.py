"""`matchback digest`: a look at the digest of a fundraiser, without sending it."""

from datetime import datetime
from pathlib import Path

import click

from service.commands.connected import connected


@click.group()
def digest() -> None:
    """Preview the digests of fundraisers."""


@digest.command()
@click.argument("fundraiser_id", metavar="FUNDRAISER")
@click.option("--weekly", is_flag=True, help="Preview a weekly digest instead of a daily one.")
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="A day of the period.  [default: the last finished period]",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the digest as HTML to this file, instead of plain text to the terminal.",
)
@connected
def preview(fundraiser_id: str, weekly: bool, day: datetime | None, html_file: Path | None) -> None:
    """Print the digest of a fundraiser.

    Its changes are those within the period, without refunds, bounces and unsubscribes. Its
    unsubscribe link does nothing.
    """
    from bson import ObjectId

    from documents.digests.rules import DigestFrequency, DigestPeriod
    from documents.errors import NotFound
    from documents.fundraiser import Fundraiser
    from documents.organization import Organization
    from documents.reports.put_digests import build_preview_params
    from service.mail.digest import format_digest_html, format_digest_text, read_content

    found = None
    if ObjectId.is_valid(fundraiser_id):
        found = Fundraiser.objects(id=fundraiser_id, deleted_at=None).first()
    if found is None:
        raise NotFound
    organization = Organization.objects.get(id=found.organization_id)
    frequency: DigestFrequency = "weekly" if weekly else "daily"
    period = DigestPeriod.find(frequency, day.date()) if day else None
    params = build_preview_params(found, frequency, period, organization.zone)
    content = read_content(params, found.id, found, organization)
    if html_file is None:
        click.echo(f"Subject: {content.subject}\n\n{format_digest_text(content)}", nl=False)
    else:
        html_file.write_text(format_digest_html(content), encoding="utf-8")
