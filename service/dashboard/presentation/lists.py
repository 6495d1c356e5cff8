"""Lists of gifts and recipients as tables: the columns of CSV and Excel files."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from documents.reports.gift_lines import GiftLine
from documents.reports.recipients import Recipient
from documents.values.donation_state import ANONYMOUS_DONOR_NAME
from service.dashboard.presentation.filters import NO_NAME
from service.dashboard.presentation.language import Language
from service.dashboard.presentation.wording import STATUS_LABELS, match_label


@dataclass(frozen=True)
class MoneyCell:
    """An amount in minor units. Another column or the header names the currency."""

    amount: int
    currency: str


ListCell = str | int | datetime | MoneyCell | None
ListRow = Sequence[ListCell]


@dataclass(frozen=True)
class ListTable:
    """A table of any length. Its rows come in pages."""

    title: str
    header: Sequence[str]
    pages: Iterator[Iterable[ListRow]]


def build_gift_table(pages: Iterator[list[GiftLine]], language: Language) -> ListTable:
    """Return a table with one row for each gift."""
    said = language.gettext
    header = [said("Date"), said("Amount"), said("Currency"), said("Refunded"), said("Status")]
    header += [said("Donor"), said("Donor's email"), said("Fundraiser"), said("Mailing")]
    header += [said("Match"), said("External ID"), said("Gift ID")]
    rows = ([_gift_row(line, language) for line in page] for page in pages)
    return ListTable(said("Gifts"), header, rows)


def _gift_row(line: GiftLine, language: Language) -> ListRow:
    gift, said = line.gift, language.gettext
    is_anonymous = gift.donor_name == ANONYMOUS_DONOR_NAME
    return [
        gift.donated_at,
        MoneyCell(gift.amount, gift.currency),
        gift.currency,
        MoneyCell(gift.refunded_amount or 0, gift.currency),
        said(STATUS_LABELS[gift.status]),
        said(NO_NAME) if is_anonymous else gift.donor_name,
        gift.donor_email or None,
        line.fundraiser,
        line.mailing,
        said(match_label(gift.match)),
        gift.client_external_id,
        str(gift.id),
    ]


def build_recipient_table(
    pages: Iterator[list[Recipient]],
    currencies: Sequence[str],
    language: Language,
    *,
    has_arms: bool = False,
) -> ListTable:
    """Return a table with one row for each recipient.

    Args:
        currencies: the currencies of the mailing's gifts. Each one has a column.
        has_arms: whether the mailing has an experiment, so that the arm has a column, too.
    """
    said = language.gettext
    header = [said("Recipient"), said("Email"), said("Sent on"), said("Delivered on")]
    header += [said("Bounced on"), said("Dropped on"), said("First opened on")]
    header += [said("First clicked on"), said("Opens"), said("Clicks"), said("Gifts")]
    header += [said("Raised, %(currency)s") % {"currency": code} for code in currencies]
    header += [said("Unsubscribed on"), said("Reported as spam on"), said("Email ID")]
    header += [said("Arm")] if has_arms else []
    rows = (
        [[*_recipient_row(one, currencies), *([one.arm] if has_arms else [])] for one in page]
        for page in pages
    )
    return ListTable(said("Recipients"), header, rows)


def _recipient_row(one: Recipient, currencies: Sequence[str]) -> ListRow:
    return [
        one.user.name if one.user else None,
        one.user.email if one.user else None,
        one.sent_at,
        one.delivered_at,
        one.bounced_at,
        one.dropped_at,
        one.first_opened_at,
        one.first_clicked_at,
        one.opens,
        one.clicks,
        one.donations_count,
        *(MoneyCell(one.raised.get(code, 0), code) for code in currencies),
        one.unsubscribed_at,
        one.spam_reported_at,
        str(one.email_id),
    ]
