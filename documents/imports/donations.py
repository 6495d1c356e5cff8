"""Imports of many donations, in batches of a few commands each.

Imported donations are due, and settling matches and counts them like others. A repeated import
finds existing donations by their `external_id`, or by the natural key of donation_line.py. Both
are unique in the organization forever, so two simultaneous imports store a donation once.
"""

from dataclasses import dataclass, field
from typing import Any

from mongoengine import get_db

from documents.donation import Donation
from documents.erased.stand_ins import list_pseudonyms
from documents.imports.donation_line import DonationLine, find_renamed_plans
from documents.imports.inserts import insert_missing
from documents.imports.occurrences import OccurrenceCounter
from documents.imports.parents import find_parents
from documents.imports.record_import import RecordImport
from documents.imports.wakeups import wake_workers
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.marks import build_text_condition

DELETED_DETAIL = "This donation was deleted. Give the line another external_id to import it again."


@dataclass
class DonationImport(RecordImport[DonationLine]):
    """An import of donations. Each line has the fields of a donation in the API.

    A line can have `mailing_id` instead of `fundraiser_id`. A resumed import must begin at the
    first line again, because equal lines differ only by their number within the import.
    """

    _equal_lines: OccurrenceCounter = field(default_factory=OccurrenceCounter)

    def _read_line(self, number: int, values: dict[str, Any]) -> DonationLine:
        return DonationLine(number, values)

    def _import(self, lines: list[DonationLine]) -> None:
        lines = find_parents(self, lines)
        self._number_equal(lines)
        new = self._not_stored(lines)
        if self.dry_run:
            self._count_new([line.id_digest for line in new])
        elif new:
            self._store(new)

    def _number_equal(self, lines: list[DonationLine]) -> None:
        """Set the external IDs of lines that have none: their natural key and number."""
        unnamed = [line for line in lines if line.external_id is None]
        digests = [line.natural_digest for line in unnamed]
        for line, number in zip(unnamed, self._equal_lines.number(digests), strict=True):
            line.set_number(number)

    def _not_stored(self, lines: list[DonationLine]) -> list[DonationLine]:
        """Return the lines whose donation does not exist. Of equal lines, return the first."""
        is_deleted = self._find_stored(lines)
        new: dict[str | None, DonationLine] = {}
        for line in lines:
            known = [is_deleted[id_] for id_ in self._list_ids(line) if id_ in is_deleted]
            if any(known):
                self.refuse_field(line, "external_id", DELETED_DETAIL, code="conflict")
            elif known or line.external_id in new:
                self.found += 1
            else:
                new[line.external_id] = line
        return list(new.values())

    def _find_stored(self, lines: list[DonationLine]) -> dict[str, bool]:
        """Return whether the stored donations of the lines are deleted, by external ID."""
        ids = sorted({id_ for line in lines for id_ in self._list_ids(line)})
        query = {
            "organization_id": self.organization_id,
            "external_id": build_text_condition(in_=ids),
        }
        found = collection(get_db(), DonationRow).find(query, {"external_id": 1, "deleted_at": 1})
        return {row["external_id"]: row.get("deleted_at") is not None for row in found}

    def _list_ids(self, line: DonationLine) -> list[str]:
        """Return the external IDs under which the line's donation may be stored."""
        own = line.values.get("external_id")
        others = list_pseudonyms(self.organization_id, own) if own else []
        return [line.external_id or "", *others]

    def _store(self, new: list[DonationLine]) -> None:
        plans = find_renamed_plans(self.organization_id, new)
        rows = [line.build_row(self.organization_id, plans) for line in new]
        refused = insert_missing(DonationRow, rows)
        self.created += len(rows) - len(refused)
        self.found += len(refused)  # a simultaneous request stored them
        wake_workers(Donation, {row["fundraiser_id"]: row["_id"] for row in rows}.values())
