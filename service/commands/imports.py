"""`matchback import`: the import of records from files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.connected import print_values
from service.commands.import_options import (
    AMOUNT_OPTIONS,
    DATE_OPTION,
    DATE_ORDERS,
    DECIMAL_SEPARATORS,
    FILE_OPTIONS,
    PARENT_OPTIONS,
    with_options,
)
from service.commands.import_preview import FilePreview

if TYPE_CHECKING:
    from documents.imports.fields import RecordKind
    from documents.imports.import_file import ImportFile
    from documents.imports.record_import import RecordImport

MAX_REJECTED_LINES_SHOWN = 20


@click.group("import")
def import_() -> None:
    """Import records from files."""


@import_.command("emails")
@with_options(*PARENT_OPTIONS, DATE_OPTION, *FILE_OPTIONS)
def import_emails(**options: Any) -> None:
    """Import emails from a CSV, .xlsx or NDJSON file.

    The content decides the format, which can be compressed with gzip. Columns have names such as
    "Email Address", "First Name" and "Send Date", or the fields of POST /v1/emails. A mailing
    implies its fundraiser. Use --dry-run to see how the file is read.

    You can safely import a file again: existing emails are found, not duplicated. The exit code is
    1 if any line was rejected.
    """
    _import_file("emails", **options)


@import_.command("users")
@with_options(*FILE_OPTIONS)
def import_users(**options: Any) -> None:
    """Import users from a CSV, .xlsx or NDJSON file.

    The content decides the format, which can be compressed with gzip. Columns have names such as
    "Email Address", "First Name" and "Last Name", or the fields of POST /v1/users. Use --dry-run
    to see how the file is read.

    You can safely import a file again: a user is found by the address, in any spelling, and keeps
    the name. The exit code is 1 if any line was rejected.
    """
    _import_file("users", **options)


@import_.command("donations")
@with_options(*PARENT_OPTIONS, DATE_OPTION, *AMOUNT_OPTIONS, *FILE_OPTIONS)
def import_donations(**options: Any) -> None:
    """Import donations from a CSV, .xlsx or NDJSON file.

    The content decides the format, which can be compressed with gzip. Columns have names such as
    "Gift Amount", "Gift Date" and "Gift ID", or the fields of POST /v1/donations. Amounts of a
    table are in major units, such as 25.00. Those of NDJSON are in minor units. A mailing implies
    its fundraiser. Use --dry-run to see how the file is read.

    You can safely import a file again: existing donations are found, not duplicated. Without an
    external_id, a donation is found by fundraiser, donor, amount, currency and donated_at. The exit
    code is 1 if any line was rejected.
    """
    _import_file("donations", **options)


def _import_file(
    records: "RecordKind",
    file: Path,
    *,
    organization_id: str,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    from documents.errors import Unusable
    from documents.imports.kinds import IMPORT_KINDS
    from documents.organization import Organization

    organization = Organization.named(organization_id)
    importing = IMPORT_KINDS[records].importing(organization.id, dry_run)
    try:
        with _open_file(records, file, organization.zone, given) as source:
            preview = FilePreview(source)
            _import_lines(records, source, importing, preview)
    except Unusable as error:
        raise click.ClickException(f"{str(error).removesuffix('.')}.") from None
    _print_result(importing, preview, as_json)
    sys.exit(1 if importing.refused_count else 0)


def _open_file(records: "RecordKind", file: Path, zone: Any, given: dict[str, Any]) -> "ImportFile":
    from documents.imports.import_file import FileChoices, ImportFile
    from documents.imports.records import ImportOptions

    parents = {"fundraiser_id": given.get("fundraiser"), "mailing_id": given.get("mailing")}
    options = ImportOptions(
        columns=dict(map(_split_column, given["column"])),
        defaults={name: value for name, value in parents.items() if value},
        currency=(given.get("currency") or "").upper(),
        decimal=DECIMAL_SEPARATORS.get(given.get("decimal") or "", ""),
        date_order=DATE_ORDERS.get(given.get("dates") or "", ""),
        zone=zone,
    )
    choices = FileChoices(
        encoding=given["encoding"] or "",
        delimiter=given["delimiter"] or "",
        sheet=given["sheet"] or "",
        options=options,
    )
    return ImportFile(records, lambda: file.open("rb"), choices)


def _split_column(text: str) -> tuple[str, str]:
    column, separator, field = text.rpartition("=")
    if not separator or not column:
        raise click.UsageError(
            '--column needs a header and a field, such as "Gift Date=donated_at".'
        )
    return column, field


def _import_lines(
    records: "RecordKind",
    source: "ImportFile",
    importing: "RecordImport[Any]",
    preview: FilePreview,
) -> None:
    from documents.imports.kinds import IMPORT_KINDS, import_file_line

    for _ in source.survey_rows():
        pass
    with click.progressbar(
        source.read_lines(),
        length=source.rows,
        label="checking" if importing.dry_run else "importing",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        update_min_steps=1000,
    ) as lines:
        for line in lines:
            preview.add(line)
            import_file_line(IMPORT_KINDS[records], importing, line)
    importing.flush()


def _print_result(importing: "RecordImport[Any]", preview: FilePreview, as_json: bool) -> None:
    names: tuple[str, ...] = ("created", "found", "refused_count", "refused", "refused_left_out")
    if hasattr(importing, "held_out_lines"):
        names += ("held_out_count", "held_out_lines", "held_out_left_out")
        names += ("arms", "arm_lines_left_out")
    values = {name: getattr(importing, name) for name in names}
    would = "would be " if importing.dry_run else ""
    text = (
        f"{importing.created:,} {would}created, {importing.found:,} found, "
        f"{importing.refused_count:,} rejected"
    )
    if importing.held_out_count:
        text += f", {importing.held_out_count:,} held out; do not send these"
    for arm in values.get("arms", ()):
        text += f"\narm {arm['arm']}: {arm['count']:,}"
    if importing.dry_run:
        values |= preview.to_values()
        if not as_json:
            preview.print()
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
