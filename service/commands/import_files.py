"""Files of `matchback import`: CSV and JSON lines, as bodies of a POST of the records."""

import csv
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import click

CSV_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "emails": ("fundraiser_id", "mailing_id", "user_id", "name", "email", "sent_at"),
    "users": ("name", "email"),
    "donations": (
        *("fundraiser_id", "mailing_id", "amount", "currency", "name", "email", "email_id"),
        *("status", "external_id", "recurring_id", "donated_at"),
    ),
}
# The field that holds the name and the email of a row.
PERSON_FIELDS = {"emails": "user", "donations": "donor"}

AMOUNT_PATTERN = re.compile(r"\d{1,15}(\.\d{1,4})?", re.ASCII)

FileLine = tuple[int, Any, int]


def read_file(records: str, file: Path, source: BinaryIO) -> Iterator[FileLine]:
    """Yield each line's number, its body or the text of an error, and the position of its end.

    Raises:
        click.UsageError: the file has another format, or a CSV file has unknown columns.
    """
    suffix = file.suffix.lower()
    if suffix == ".csv":
        return _from_csv(records, source)
    if suffix in (".ndjson", ".jsonl"):
        return _from_ndjson(source)
    raise click.UsageError("FILE must end in .csv, .ndjson or .jsonl.")


def _from_ndjson(source: BinaryIO) -> Iterator[FileLine]:
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


def _from_csv(records: str, source: BinaryIO) -> Iterator[FileLine]:
    at = 0

    def lines() -> Iterator[str]:
        nonlocal at
        for line in source:
            at += len(line)
            yield line.decode("utf-8-sig" if at == len(line) else "utf-8", "replace")

    reader = csv.DictReader(lines(), strict=True)
    unknown = set(reader.fieldnames or ()) - set(CSV_COLUMNS[records])
    if unknown or not reader.fieldnames:
        raise click.UsageError(
            f"FILE must have a header line with some of: {', '.join(CSV_COLUMNS[records])}."
        )
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, f"The line is not valid CSV: {error}.", at
            continue
        if row is None:
            return
        yield reader.line_num, _to_body(records, row), at


def _to_body(records: str, row: dict[Any, Any]) -> Any:
    """Return the row as a body of a POST of the records. Omit empty values."""
    if None in row:
        return "The line has more values than columns."
    body = {name: value for name, value in row.items() if value}
    if (field := PERSON_FIELDS.get(records)) is not None:
        person = {name: body.pop(name) for name in ("name", "email") if name in body}
        body |= {field: person} if person else {}
    if "amount" in body:
        body["amount"] = _to_minor_units(body["amount"], body.get("currency", ""))
    return body


def _to_minor_units(amount: str, currency: str) -> int | str:
    """Return an amount such as 25.00 in minor units. Leave any other text to validation."""
    from documents.values.money import count_decimals

    if not AMOUNT_PATTERN.fullmatch(amount):
        return amount
    minor = Decimal(amount).scaleb(count_decimals(currency) or 0)
    return int(minor) if minor == minor.to_integral_value() else amount
