"""Reports by segment: the funnel and gifts for each value of an attribute, from counters."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.migrations.matched import has_matched_counters
from documents.reports.figures import SegmentLine, SegmentTable
from documents.reports.funnel_fields import REPORTED_FUNNEL_FIELDS
from documents.storage.former_match import add_former_counters
from documents.storage.personal_data import is_value_shown
from documents.values.attributes import MAILBOX_PROVIDER
from documents.values.rates import (
    compute_email_rates,
    compute_giving_rates,
    drop_zero_totals,
    ratio,
)

MAX_LISTED_VALUES = 200
EMAIL_MATCHES = ("link", "address", "pinned")  # gifts that an email led to
SEGMENT_COUNTER_FIELDS = ("emails_count", "funnel", "matched")
Kind = Literal["value", "other", "none"]


@dataclass
class SegmentSums:
    """The counters of the segments with one value."""

    emails: int = 0
    gifts: int = 0
    people: int = 0  # at least; an email without a mailing can be a person's second one
    funnel: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    raised: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, counters: Mapping[str, Any], sign: int = 1) -> None:
        """Add the counters of a segment, or subtract them if `sign` is -1."""
        self.emails += sign * counters.get("emails_count", 0)
        if counters.get("mailing_id"):
            self.people = max(self.people, counters.get("emails_count", 0))
        matched = counters.get("matched", {})
        self.gifts += sign * matched.get("count", 0)
        parts = ((self.funnel, counters.get("funnel")), (self.raised, matched.get("raised")))
        for sums, amounts in parts:
            for key, amount in (amounts or {}).items():
                sums[key] += sign * amount

    @property
    def counters(self) -> dict[str, Any]:
        """The sums in the form of a segment's counters."""
        matched = {"count": self.gifts, "raised": self.raised}
        return {"emails_count": self.emails, "funnel": self.funnel, "matched": matched}


def build_segment_table(of: Fundraiser | Mailing, by: str) -> SegmentTable:
    """Return the figures by the values of an attribute, the largest first.

    The cost depends on the number of values and, for a fundraiser, of mailings.
    """
    owner = "mailing_id" if isinstance(of, Mailing) else "fundraiser_id"
    query = {"organization_id": of.organization_id, owner: of.id}
    fields = dict.fromkeys(("value", "mailing_id", *SEGMENT_COUNTER_FIELDS), 1)
    rows = get_db().segments.find({**query, "attribute": by}, fields)
    return {
        "by": by,
        "attributes": list_attributes(of),
        "values": _list_lines(of, rows, by),
    }


def list_attributes(of: Fundraiser | Mailing) -> list[str]:
    """Return the attributes that emails of a mailing or a fundraiser have."""
    owner = "mailing_id" if isinstance(of, Mailing) else "fundraiser_id"
    # The index has no organization, and MongoDB reads only one key for each attribute in it.
    names = get_db().segments.distinct("attribute", {owner: of.id})
    return sorted({*names, MAILBOX_PROVIDER} - {None})


def is_segment_shown(by: str, people: int) -> bool:
    """Return whether a report may name the value of a segment with this number of people."""
    return by == MAILBOX_PROVIDER or is_value_shown(people)


def _list_lines(
    of: Fundraiser | Mailing, rows: Iterable[Mapping[str, Any]], by: str
) -> list[SegmentLine]:
    by_value: defaultdict[str | None, SegmentSums] = defaultdict(SegmentSums)
    without = _sum_all(of)
    for row in rows:
        by_value[row.get("value")].add(row)
        without.add(row, -1)
    others = by_value.pop(None, SegmentSums())
    largest = sorted(by_value.items(), key=lambda one: (-one[1].emails, one[0] or ""))
    lines = []
    for place, (value, sums) in enumerate(largest):
        if place < MAX_LISTED_VALUES and is_segment_shown(by, sums.people):
            lines.append(_line("value", value, sums))
        else:
            others.add(sums.counters)
    lines += [_line("other", None, others), _line("none", None, without)]
    return [line for line in lines if line["recorded"] > 0]


def _sum_all(of: Fundraiser | Mailing) -> SegmentSums:
    """Return the counters of all emails, with the gifts that match them.

    Until the migration, only `by_match` has the gifts of all emails. It counts a gift that is
    pinned to another fundraiser's email with the gift's own fundraiser.
    """
    sums = SegmentSums()
    sums.add({"emails_count": of.emails_count, "funnel": of.funnel})
    if has_matched_counters():
        sums.add({"matched": of.matched})
        return sums
    for name in EMAIL_MATCHES:
        sums.add({"matched": add_former_counters(of.by_match, name)})
    return sums


def _line(kind: Kind, value: str | None, sums: SegmentSums) -> SegmentLine:
    # Settling between two queries can make a difference of counters negative for a moment.
    funnel = {name: max(sums.funnel[name], 0) for name in REPORTED_FUNNEL_FIELDS}
    gifts, raised = max(sums.gifts, 0), drop_zero_totals(sums.raised)
    return {
        "kind": kind,
        "value": value,
        "recorded": sums.emails,
        "emails": funnel,
        "donations": {"count": gifts, "raised": raised},
        "rates": compute_email_rates(funnel),
        "giving_rates": compute_giving_rates(funnel, gifts),
        "raised_per_email": {
            code: ratio(amount, funnel["sent"]) for code, amount in raised.items() if funnel["sent"]
        },
    }
