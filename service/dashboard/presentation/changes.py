"""The changes between two times: the sums by kind, and the columns of the file. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from babel.lists import format_list

from documents.history.gift_rules import GIFT_CHANGE_KINDS, GiftChangeKind, StoredCountedGift
from documents.reports.change_lines import ChangeLine
from documents.reports.explained import Explanation
from documents.values.donation_state import ANONYMOUS_DONOR_NAME
from service.dashboard.presentation.filters import NO_NAME
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import Language, marked
from service.dashboard.presentation.lists import ListRow, ListTable, MoneyCell
from service.dashboard.presentation.wording import match_label

CHANGE_KIND_LABELS: dict[GiftChangeKind, str] = {
    "new": marked("New gift"),
    "deleted": marked("Gift deleted"),
    "refunded": marked("Refund"),
    "status": marked("Payment failed, disputed or restored"),
    "pinned": marked("Email set by staff"),
    "matched_again": marked("Matched to another email"),
}
CORRECTION_LABEL = marked("Corrected counters")
NOT_COUNTED = marked("Not counted")


@dataclass(frozen=True)
class SumRow:
    """The sum of a kind of change. `changes` is None for corrections, which no gift explains."""

    label: str
    changes: int | None
    gifts: str
    raised: list[str]


def list_sum_rows(explanation: Explanation, formats: Formats) -> list[SumRow]:
    """Return the kinds that have changes, and the corrections if there are any."""
    said = formats.language.gettext
    rows = []
    for kind in GIFT_CHANGE_KINDS:
        of = explanation["by_kind"][kind]
        if of["changes"]:
            label = said(CHANGE_KIND_LABELS[kind])
            rows.append(_sum_row(label, of["changes"], of["count"], of["raised"], formats))
    of_corrections = explanation["corrections"]
    if of_corrections["count"] or of_corrections["raised"]:
        amounts = of_corrections["count"], of_corrections["raised"]
        rows.append(_sum_row(said(CORRECTION_LABEL), None, *amounts, formats))
    return rows


def write_difference(explanation: Explanation, formats: Formats) -> str:
    """Return the whole difference as a phrase, as “Raised +$25.00, gifts +1”."""
    before, after, said = explanation["before"], explanation["after"], formats.language.gettext
    count = after["count"] - before["count"]
    changed = Counter(after["raised"])
    changed.subtract(before["raised"])
    money = [format_difference(n, code, formats) for code, n in sorted(changed.items()) if n]
    if not money and not count:
        return said("The totals are the same.")
    values = {
        "amounts": format_list(money, locale=formats.language.words) or formats.number(0),
        "gifts": formats.signed(count, formats.number(count)),
    }
    return said("Raised: %(amounts)s. Gifts: %(gifts)s.") % values


def _sum_row(
    label: str, changes: int | None, count: int, raised: Mapping[str, int], formats: Formats
) -> SumRow:
    money = [format_difference(raised[code], code, formats) for code in sorted(raised)]
    return SumRow(label, changes, formats.signed(count, formats.number(count)), money)


def format_difference(amount: int, currency: str, formats: Formats) -> str:
    """Format an amount with its sign."""
    return formats.signed(amount, formats.money(amount, currency))


def build_change_table(pages: Iterator[list[ChangeLine]], language: Language) -> ListTable:
    """Return a table with one row for each change."""
    said = language.gettext
    header = [said("Time"), said("Change"), said("Difference"), said("Currency")]
    header += [said("Amount before"), said("Match before"), said("Mailing before")]
    header += [said("Amount after"), said("Match after"), said("Mailing after")]
    header += [said("Refunded"), said("Donor"), said("External ID"), said("Gift ID")]
    rows = ([_change_row(line, language) for line in page] for page in pages)
    return ListTable(said("Changes"), header, rows)


def _change_row(line: ChangeLine, language: Language) -> ListRow:
    change, gift, said = line.change, line.gift, language.gettext
    donor = gift.donor_name if gift else None
    return [
        change.at,
        ", ".join(said(CHANGE_KIND_LABELS[kind]) for kind in change.kinds),
        MoneyCell(change.difference, change.currency),
        change.currency,
        *_side(change.before, line.mailing_before, change.currency, language),
        *_side(change.after, line.mailing_after, change.currency, language),
        MoneyCell(change.refunded, change.currency),
        said(NO_NAME) if donor == ANONYMOUS_DONOR_NAME else donor,
        gift.client_external_id if gift else None,
        str(change.donation_id),
    ]


def _side(
    counted: StoredCountedGift | None, mailing: str | None, currency: str, language: Language
) -> ListRow:
    if counted is None:
        return [MoneyCell(0, currency), language.gettext(NOT_COUNTED), None]
    match = language.gettext(match_label(counted["match"]))
    return [MoneyCell(counted["amount"], currency), match, mailing]
