"""`matchback import`: the import of records from files."""

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.import_files import read_file

if TYPE_CHECKING:
    from documents.imports.record_import import RecordImport

MAX_REJECTED_LINES_SHOWN = 20
MIN_PROGRESS_BYTES = 100_000

FILE_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option(
        "--organization",
        "organization_id",
        required=True,
        metavar="ID",
        help="ID of the organization.",
    ),
    click.option("--dry-run", is_flag=True, help="Check the file and store nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    connected,
    audited,
)
PARENT_OPTIONS = (
    click.option("--fundraiser", metavar="ID", help="Fundraiser for lines without fundraiser_id."),
    click.option("--mailing", metavar="ID", help="Mailing for lines without mailing_id."),
)

Command = Callable[..., Any]


def _with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)


@click.group("import")
def import_() -> None:
    """Import records from files."""


@import_.command("emails")
@_with_options(*PARENT_OPTIONS, *FILE_OPTIONS)
def import_emails(**options: Any) -> None:
    """Import emails from a CSV or NDJSON file.

    FILE must end in .csv, .ndjson or .jsonl. A CSV file begins with a header line. Its columns are
    fundraiser_id, mailing_id, user_id (or name and email), and sent_at. Each NDJSON line has the
    fields of POST /v1/emails. A mailing_id implies the fundraiser.

    You can safely import a file again: existing emails are found, not duplicated. The exit code is
    1 if any line was rejected.
    """
    _import_file("emails", **options)


@import_.command("users")
@_with_options(*FILE_OPTIONS)
def import_users(**options: Any) -> None:
    """Import users from a CSV or NDJSON file.

    FILE must end in .csv, .ndjson or .jsonl. A CSV file begins with a header line. Its columns are
    name and email. Each NDJSON line has the fields of POST /v1/users.

    You can safely import a file again: a user is found by the address, in any spelling, and keeps
    the name. The exit code is 1 if any line was rejected.
    """
    _import_file("users", **options)


@import_.command("donations")
@_with_options(*PARENT_OPTIONS, *FILE_OPTIONS)
def import_donations(**options: Any) -> None:
    """Import donations from a CSV or NDJSON file.

    FILE must end in .csv, .ndjson or .jsonl. A CSV file begins with a header line. Its columns are
    fundraiser_id or mailing_id, amount (such as 25.00), currency, name, email, email_id, status,
    external_id, recurring_id and donated_at. Each NDJSON line has the fields of POST
    /v1/donations, with the amount in minor units. A mailing_id implies the fundraiser.

    You can safely import a file again: existing donations are found, not duplicated. Without an
    external_id, a donation is found by fundraiser, donor, amount, currency and donated_at. The exit
    code is 1 if any line was rejected.
    """
    _import_file("donations", **options)


def _import_file(
    records: str,
    file: Path,
    *,
    organization_id: str,
    dry_run: bool,
    as_json: bool,
    fundraiser: str | None = None,
    mailing: str | None = None,
) -> None:
    from documents.organization import Organization
    from service.api.import_lines import IMPORT_KINDS, import_line, reject_line

    kind = IMPORT_KINDS[records]
    importing = kind.importing(Organization.named(organization_id).id, dry_run)
    given = {"fundraiser_id": fundraiser, "mailing_id": mailing}
    defaults = {name: value for name, value in given.items() if value}
    with (
        file.open("rb") as source,
        click.progressbar(
            length=file.stat().st_size,
            label="checking" if dry_run else "importing",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as progress,
    ):
        for number, value, at in read_file(records, file, source):
            if isinstance(value, dict):
                import_line(kind, importing, number, defaults | value)
            else:
                reject_line(importing, number, "malformed", str(value))
            if at > progress.pos + MIN_PROGRESS_BYTES:
                progress.update(at - progress.pos)
        importing.flush()
        progress.update(max(0, file.stat().st_size - progress.pos))
    _print_result(importing, dry_run, as_json)
    sys.exit(1 if importing.refused_count else 0)


def _print_result(importing: "RecordImport[Any]", dry_run: bool, as_json: bool) -> None:
    names = ("created", "found", "refused_count", "refused", "refused_left_out")
    values = {name: getattr(importing, name) for name in names}
    would = "would be " if dry_run else ""
    text = (
        f"{importing.created} {would}created, {importing.found} found, "
        f"{importing.refused_count} rejected"
    )
    for refused in importing.refused[:MAX_REJECTED_LINES_SHOWN] if not as_json else ():
        click.echo(_format_refusal(refused), err=True)
    if not as_json and importing.refused_count > MAX_REJECTED_LINES_SHOWN:
        click.echo(
            f"and {importing.refused_count - MAX_REJECTED_LINES_SHOWN:,} more lines", err=True
        )
    print_values(values, text, as_json)


def _format_refusal(refused: dict[str, Any]) -> str:
    """Return a rejected line's number and errors."""
    reasons = [f"{error['pointer']} {error['detail']}".strip() for error in refused["errors"]]
    if refused["errors_left_out"]:
        reasons.append(f"and {refused['errors_left_out']:,} more errors")
    return f"line {refused['line']}: {'; '.join(reasons)}"
