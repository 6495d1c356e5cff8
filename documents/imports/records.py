"""Rows of a table as the bodies that POST takes for their kind of record. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from documents.errors import Unusable
from documents.imports.amounts import DecimalSeparator, DecimalVote, read_amount, to_minor_units
from documents.imports.attribute_columns import guess_attributes, name_attributes
from documents.imports.dates import DateOrder, DateOrderVote, read_date
from documents.imports.fields import ATTRIBUTE_FIELD, FIELDS, REQUIRED, RecordKind
from documents.imports.tables.header import map_columns
from documents.imports.tables.table import Cell, Table

Body = dict[str, Any]
COPIED_FIELDS = (
    *("fundraiser_id", "mailing_id", "user_id", "email_id"),
    *("external_id", "recurring_id", "status", "arm"),
)
PERSON_FIELDS = {"emails": "user", "donations": "donor"}
DATE_FIELDS = ("sent_at", "donated_at")


class RowError(Exception):
    """A row that cannot be imported.

    Attributes:
        field: the field with the error.
        detail: what the value must be, without a final period.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


@dataclass(frozen=True)
class ImportOptions:
    """Choices of a person for an import.

    Attributes:
        columns: the field of a column, or an empty text to ignore the column.
        defaults: values of the fields that a row does not have.
        currency: currency of amounts that name none.
        decimal: decimal separator of ambiguous amounts.
        date_order: what comes first in a date with slashes.
        zone: time zone of dates without one.
        now: latest time of a date, because a date alone means the end of its day.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""
    decimal: DecimalSeparator = ""
    date_order: DateOrder = ""
    zone: tzinfo = UTC
    now: datetime | None = None


@dataclass
class Survey:
    """Evidence from all rows of a file, from a first pass over them.

    Attributes:
        rows: number of rows that are not blank.
    """

    rows: int = 0
    dates: DateOrderVote = field(default_factory=DateOrderVote)
    amounts: DecimalVote = field(default_factory=DecimalVote)


class RecordReader:
    """The reader of one file's rows.

    Raises:
        Unusable: a required column is missing, or two columns are taken for one field.
    """

    def __init__(
        self, kind: RecordKind, columns: Sequence[str], options: ImportOptions | None = None
    ) -> None:
        self.kind = kind
        self.options = options or ImportOptions()
        self.mapping = _choose_fields(kind, columns, self.options.columns)
        self._columns = {field: column for column, field in self.mapping.items() if field}
        self._attributes = name_attributes(
            column for column, field in self.mapping.items() if field == ATTRIBUTE_FIELD
        )
        self.survey = Survey()
        _check_required(kind, self._columns.keys() | self.options.defaults.keys())

    def survey_rows(self, table: Table) -> Survey:
        """Read all rows of the table, and keep what they prove."""
        for row in table.rows:
            self.survey.rows += 1
            if isinstance(row.cells, dict):
                self._survey_row(row.cells)
        return self.survey

    def _survey_row(self, cells: Mapping[str, Cell]) -> None:
        for name in DATE_FIELDS:
            if isinstance(text := self._get(cells, name), str):
                self.survey.dates.add(text)
        if isinstance(text := self._get(cells, "amount"), str):
            self.survey.amounts.add(text)

    def read_body(self, cells: Mapping[str, Cell]) -> Body:
        """Return the body of POST for a row.

        Raises:
            RowError: a value is ambiguous or invalid. The body itself is not validated.
        """
        body: Body = dict(self.options.defaults)
        body |= {name: text for name in COPIED_FIELDS if (text := self._text(cells, name))}
        body |= self._person(cells)
        for name in DATE_FIELDS:
            if (value := self._get(cells, name)) is not None:
                body[name] = self._date(name, value)
        if (value := self._get(cells, "amount")) is not None:
            body |= self._amount(cells, value)
        return body

    def _get(self, cells: Mapping[str, Cell], name: str) -> Cell:
        column = self._columns.get(name)
        return cells.get(column) if column else None

    def _text(self, cells: Mapping[str, Cell], name: str) -> str:
        return to_text(self._get(cells, name))

    def _person(self, cells: Mapping[str, Cell]) -> Body:
        address, name = self._text(cells, "email"), self._name(cells)
        found = {"name": name or address, "email": address}
        person: Body = {key: value for key, value in found.items() if value}
        if person and (attributes := self._read_attributes(cells)):
            person["attributes"] = attributes
        place = PERSON_FIELDS.get(self.kind)
        if not place:
            return person
        return {place: person} if person else {}

    def _read_attributes(self, cells: Mapping[str, Cell]) -> dict[str, str]:
        read = {name: to_text(cells.get(column)) for column, name in self._attributes.items()}
        return {name: text for name, text in read.items() if text}

    def _name(self, cells: Mapping[str, Cell]) -> str:
        parts = [self._text(cells, name) for name in ("first_name", "last_name")]
        return self._text(cells, "name") or " ".join(filter(None, parts))

    def _date(self, name: str, value: Cell) -> str:
        order = self.options.date_order or self.survey.dates.order
        try:
            at = read_date(value, self.options.zone, order)
        except Unusable as error:
            raise RowError(name, str(error)) from None
        return min(at, self.options.now or at).isoformat()

    def _amount(self, cells: Mapping[str, Cell], value: Cell) -> Body:
        currency = self._text(cells, "currency").upper()
        decimal = self.options.decimal or self.survey.amounts.separator
        try:
            if isinstance(value, str):
                read = read_amount(value, currency or self.options.currency, decimal)
                _check_currencies(currency, read.currency)
                return {"amount": read.amount, "currency": read.currency}
            code = currency or self.options.currency
            return {"amount": to_minor_units(_to_decimal(value), code), "currency": code}
        except Unusable as error:
            raise RowError("amount", str(error)) from None


def to_text(value: Cell) -> str:
    """Return a cell as text. A workbook stores an ID of digits as a number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _check_currencies(column: str, sign: str) -> None:
    """Check that the amount's sign does not contradict the currency column.

    Raises:
        Unusable: the row has two currencies.
    """
    if column and sign != column:
        raise Unusable("Must have one currency. The amount and the currency column differ")


def _to_decimal(value: Cell) -> Decimal:
    """Return a workbook's number, rounded as Excel shows it.

    Raises:
        Unusable: the value is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("Must be an amount such as 1234.50")
    try:
        return Decimal(format(value, ".15g"))
    except InvalidOperation:
        raise Unusable("Must be an amount such as 1234.50") from None


def _choose_fields(
    kind: RecordKind, columns: Sequence[str], chosen: Mapping[str, str]
) -> dict[str, str | None]:
    """Return the field of each column, by a person's choice or by the column's name.

    Raises:
        Unusable: a choice names an unknown column or field, or two columns have one field.
    """
    unknown = [name for name in chosen if name not in columns]
    if unknown:
        raise Unusable(f"The file has no column “{unknown[0]}”")
    for field_name in filter(None, chosen.values()):
        if field_name not in FIELDS[kind]:
            raise Unusable(f"Choose a field of: {', '.join(FIELDS[kind])}")
    open_fields = {
        name: aliases for name, aliases in FIELDS[kind].items() if name not in chosen.values()
    }
    guessed = map_columns([one for one in columns if one not in chosen], open_fields)
    guessed |= dict.fromkeys(guess_attributes(kind, guessed), ATTRIBUTE_FIELD)
    given = [name for name in chosen.values() if name and name != ATTRIBUTE_FIELD]
    if len(given) != len(set(given)):
        raise Unusable("Choose each field for one column only")
    return {column: chosen.get(column) or guessed.get(column) for column in columns}


def _check_required(kind: RecordKind, known: set[str]) -> None:
    for names in REQUIRED[kind]:
        if known.isdisjoint(names.split(" or ")):
            raise Unusable(f"The file has no column for {names}. Choose the column")
