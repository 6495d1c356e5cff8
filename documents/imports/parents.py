"""The fundraiser and the mailing that a line of an import names."""

from dataclasses import dataclass
from typing import Any, TypeVar

from bson import ObjectId

from documents.imports.record_import import RecordImport
from documents.rows.fundraiser import FundraiserRow, MailingRow


@dataclass
class ChildLine:
    """A line of a record that belongs to a fundraiser.

    Attributes:
        number: the line's number in the input.
        values: the fields of the line; see the API.
        fundraiser_id: the fundraiser, which the mailing implies; set by `find_parents`.
        mailing: the mailing; None if the line names none.
    """

    number: int
    values: dict[str, Any]
    fundraiser_id: ObjectId | None = None
    mailing: MailingRow | None = None


C = TypeVar("C", bound=ChildLine)


def find_parents(importing: RecordImport[C], lines: list[C]) -> list[C]:
    """Set the fundraiser and the mailing of each line. Reject lines whose parents do not exist."""
    named = {line.values.get("mailing_id") for line in lines} - {None}
    fields = ("fundraiser_id", "sent_at", "experiment")
    mailings = importing.read_by_id(MailingRow, named, *fields)
    for line in lines:
        line.fundraiser_id = line.values.get("fundraiser_id")
        if (mailing_id := line.values.get("mailing_id")) is not None:
            line.mailing = mailings.get(mailing_id)
            if line.fundraiser_id is None and line.mailing:
                line.fundraiser_id = line.mailing["fundraiser_id"]
    ids = {line.fundraiser_id for line in lines} - {None}
    fundraisers = importing.read_by_id(FundraiserRow, ids)
    return [line for line in lines if _has_parents(importing, line, fundraisers)]


def _has_parents(importing: RecordImport[C], line: C, fundraisers: Any) -> bool:
    """Return whether the line's parents exist and belong together. Otherwise, reject the line."""
    mailing_id = line.values.get("mailing_id")
    is_given = line.values.get("fundraiser_id") is not None
    if not is_given and mailing_id is None:
        importing.refuse_field(
            line, "fundraiser_id", "Set fundraiser_id or mailing_id.", code="missing"
        )
    elif is_given and line.fundraiser_id not in fundraisers:
        importing.refuse_field(line, "fundraiser_id", "Must be the ID of a fundraiser.")
    elif mailing_id is not None and not _belongs_together(line, fundraisers):
        of = " of this fundraiser" if is_given else ""
        importing.refuse_field(line, "mailing_id", f"Must be the ID of a mailing{of}.")
    else:
        return True
    return False


def _belongs_together(line: ChildLine, fundraisers: Any) -> bool:
    mailing = line.mailing
    return (
        mailing is not None
        and mailing["fundraiser_id"] == line.fundraiser_id
        and line.fundraiser_id in fundraisers
    )
