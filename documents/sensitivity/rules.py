"""The emails that a gift would match under alternative policies. Pure.

The rules are those of `matching/rules.py`. Only the donor's address depends on the window and on
the touch. A gift that names its email, and a gift that staff pinned, match the same email always.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, NamedTuple

from bson import ObjectId

from documents.conditions import net_amount
from documents.matching.candidates import BatchEvidence
from documents.matching.fitting import (
    Candidate,
    FittingEmail,
    MatchedGift,
    is_within,
    list_fitting,
    sort_fitting,
)
from documents.matching.instalments import first_of
from documents.matching.policy import MatchPolicy
from documents.matching.rules import MatchEvidence, match_gift
from documents.rows.donation import DonationRow

Touch = Literal["first", "last"]
Emails = tuple[Candidate | None, ...]  # in the order of `ALTERNATIVES`
CREDITED = "credited"


class Alternative(NamedTuple):
    """A window and a touch that replace those of the policy."""

    window_days: int
    touch: Touch

    @property
    def key(self) -> str:
        """Name of the sum in stored rows, such as `last_30`."""
        return f"{self.touch}_{self.window_days}"

    @property
    def window(self) -> timedelta:
        return timedelta(days=self.window_days)

    def is_same(self, policy: MatchPolicy) -> bool:
        """Return whether the policy has this window and this touch."""
        return (self.window, self.touch) == (policy.window, policy.touch)


ALTERNATIVE_WINDOWS_DAYS = (7, 14, 30)
TOUCHES: tuple[Touch, ...] = ("first", "last")
ALTERNATIVES = tuple(
    Alternative(days, touch) for days in ALTERNATIVE_WINDOWS_DAYS for touch in TOUCHES
)
WIDEST_WINDOW = timedelta(days=max(ALTERNATIVE_WINDOWS_DAYS))


def match_alternatives(
    gift: MatchedGift, evidence: MatchEvidence, first: Emails | None, policy: MatchPolicy
) -> Emails:
    """Return the email of a gift under each alternative.

    Args:
        first: the emails of the plan's first instalment, if the gift is a later one.
    """
    pin = evidence.pin
    if first is not None and (pin is None or pin.is_gone):
        return first
    fixed = match_gift(gift, replace(evidence, first=None, donors=()), policy)
    if fixed.rule != "none":
        return (fixed.email,) * len(ALTERNATIVES)
    fitting = list_fitting(gift, evidence.donors, replace(policy, window=WIDEST_WINDOW))
    if not fitting:
        return (None,) * len(ALTERNATIVES)
    orders = {touch: sort_fitting(fitting, replace(policy, touch=touch)) for touch in TOUCHES}
    return tuple(_find_best(gift, orders[one.touch], one.window) for one in ALTERNATIVES)


def _find_best(
    gift: MatchedGift, order: Sequence[FittingEmail], window: timedelta
) -> Candidate | None:
    found = (
        email for email, _ in order if email.sent_at and is_within(gift, email.sent_at, window)
    )
    return next(found, None)


class AlternativeMatches:
    """The emails of a page of gifts under each alternative. Each plan's first gift is decided once.

    Args:
        evidence: also has the first instalments among its gifts.
    """

    def __init__(self, evidence: BatchEvidence, policy: MatchPolicy) -> None:
        self._evidence = evidence
        self._policy = policy
        self._known: dict[ObjectId, Emails] = {}

    def find(self, gift: DonationRow) -> Emails:
        """Return the gift's email under each alternative."""
        if (known := self._known.get(gift["_id"])) is None:
            first = first_of(gift, self._evidence.firsts)
            followed = self.find(first) if first else None
            known = match_alternatives(
                MatchedGift(gift["fundraiser_id"], gift["donated_at"]),
                self._evidence.of_gift(gift, None),
                followed,
                self._policy,
            )
            self._known[gift["_id"]] = known
        return known


@dataclass
class MailingSums:
    """Sums of mailings in minor units, by mailing, name of the sum and currency."""

    by_mailing: defaultdict[ObjectId, defaultdict[tuple[str, str], int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )

    def add(self, gift: DonationRow, emails: Emails) -> None:
        """Add a gift to the mailing of its present match, and to those of the alternatives."""
        amount, currency = net_amount(gift), gift["currency"]
        for mailing_id, name in _list_credits(gift, emails):
            self.by_mailing[mailing_id][name, currency] += amount


def _list_credits(gift: DonationRow, emails: Emails) -> Iterator[tuple[ObjectId, str]]:
    if mailing_id := gift.get("mailing_id"):
        yield mailing_id, CREDITED
    for alternative, email in zip(ALTERNATIVES, emails, strict=True):
        if email and email.mailing_id:
            yield email.mailing_id, alternative.key


def find_range(
    sums: Sequence[Mapping[str, int]], currencies: Iterable[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the lowest and the highest of some sums, at least in these currencies."""
    codes = sorted({*currencies, *(code for one in sums for code in one)})
    lists = {code: [one.get(code, 0) for one in sums] for code in codes}
    return (
        {code: min(amounts) for code, amounts in lists.items()},
        {code: max(amounts) for code, amounts in lists.items()},
    )
