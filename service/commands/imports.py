"""`matchback import`: the import of records from files."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values

if TYPE_CHECKING:
    from documents.imports.emails import EmailImport

CSV_COLUMNS = ("fundraiser_id", "mailing_id", "user_id", "name", "email", "sent_at")
MAX_REJECTED_LINES_SHOWN = 20


@click.group("import")
def import_() -> None:
    """Import records from files."""


@import_.command("emails")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--organization", "organization_id", required=True, metavar="ID", help="ID of the organization."
)
@click.option("--fundraiser", metavar="ID", help="Fundraiser for lines without fundraiser_id.")
@click.option("--mailing", metavar="ID", help="Mailing for lines without mailing_id.")
@click.option("--dry-run", is_flag=True, help="Check the file and store nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
@audited
def import_emails(
    file: Path,
    *,
    organization_id: str,
    fundraiser: str | None,
    mailing: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import emails from a CSV or NDJSON file.

    FILE must end in .csv, .ndjson or .jsonl. A CSV file begins with a header line. Its columns are
    fundraiser_id, mailing_id, user_id (or name and email), and sent_at. Each NDJSON line has the
    fields of POST /v1/emails.

    You can safely import a file again: existing emails are found, not duplicated. The exit code is
    1 if any line was rejected.
    """
    from documents.imports.emails import EmailImport
    from documents.organization import Organization
    from service.api.email_lines import import_email_line, reject_line

    importing = EmailImport(Organization.named(organization_id).id, dry_run)
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
        for number, value, at in _values(source, file.suffix.lower()):
            if isinstance(value, dict):
                import_email_line(importing, number, defaults | value)
            else:
                reject_line(importing, number, "malformed", str(value))
            if at > progress.pos + 100_000:
                progress.update(at - progress.pos)
        importing.flush()
        progress.update(max(0, file.stat().st_size - progress.pos))
    _tell(importing, dry_run, as_json)
    sys.exit(1 if importing.refused_count else 0)


def _values(source: BinaryIO, suffix: str) -> Iterator[tuple[int, Any, int]]:
    """Yield each line's number, its value (or an error text), and the position of its end."""
    if suffix == ".csv":
        return _from_csv(source)
    if suffix in (".ndjson", ".jsonl"):
        return _from_ndjson(source)
    raise click.UsageError("FILE must end in .csv, .ndjson or .jsonl.")


def _from_ndjson(source: BinaryIO) -> Iterator[tuple[int, Any, int]]:
    import falcon

    from service.api.parsing import MAX_LINE_BYTES, parse_json

    at = 0
    for number, line in enumerate(source, 1):
        at += len(line)
        try:
            value = parse_json(line) if len(line) <= MAX_LINE_BYTES else "The line is too long."
        except falcon.HTTPBadRequest as error:
            value = error.description
        if line.strip():
            yield (
                number,
                value if isinstance(value, dict | str) else "The line is not a JSON object.",
                at,
            )


def _from_csv(source: BinaryIO) -> Iterator[tuple[int, Any, int]]:
    at = 0

    def lines() -> Iterator[str]:
        nonlocal at
        for line in source:
            at += len(line)
            yield line.decode("utf-8-sig" if at == len(line) else "utf-8", "replace")

    reader = csv.DictReader(lines(), strict=True)
    unknown = set(reader.fieldnames or ()) - set(CSV_COLUMNS)
    if unknown or not reader.fieldnames:
        raise click.UsageError(
            f"FILE must have a header line with some of: {', '.join(CSV_COLUMNS)}."
        )
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, f"The line is not valid CSV: {error}.", at
            continue
        if row is None:
            return
        yield reader.line_num, _email(row), at


def _email(row: dict[Any, Any]) -> Any:
    """Return the row as a body of POST /v1/emails. Omit empty values."""
    if None in row:
        return "The line has more values than columns."
    email = {name: value for name, value in row.items() if value}
    person = {name: email.pop(name) for name in ("name", "email") if name in email}
    return {**email, "user": person} if person else email


def _tell(importing: "EmailImport", dry_run: bool, as_json: bool) -> None:
    done = {"created": importing.created, "found": importing.found}
    names = ("refused_count", "refused", "refused_left_out")
    values = done | {name: getattr(importing, name) for name in names}
    would = "would be " if dry_run else ""
    text = (
        f"{importing.created} {would}created, {importing.found} found, "
        f"{importing.refused_count} rejected"
    )
    for refused in importing.refused[:MAX_REJECTED_LINES_SHOWN] if not as_json else ():
        click.echo(_refusal(refused), err=True)
    if not as_json and importing.refused_count > MAX_REJECTED_LINES_SHOWN:
        click.echo(
            f"and {importing.refused_count - MAX_REJECTED_LINES_SHOWN:,} more lines", err=True
        )
    print_values(values, text, as_json)


def _refusal(refused: dict[str, Any]) -> str:
    """Return a rejected line's number and errors."""
    reasons = [f"{error['pointer']} {error['detail']}".strip() for error in refused["errors"]]
    if refused["errors_left_out"]:
        reasons.append(f"and {refused['errors_left_out']:,} more errors")
    return f"line {refused['line']}: {'; '.join(reasons)}"
