"""Rules for changes of a gift between two settlements. Pure."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, NotRequired, Self, TypedDict, get_args

from bson import ObjectId

from documents.conditions import is_counted, is_money_taken, net_amount
from documents.rows.donation import DonationRow
from documents.storage.former_match import get_current_match, read_match
from matchback.engine import from_stored

GiftChangeKind = Literal["new", "deleted", "refunded", "status", "pinned", "matched_again"]
GIFT_CHANGE_KINDS: tuple[GiftChangeKind, ...] = get_args(GiftChangeKind)
MATCH_PREFIX, MATCH_SUFFIX = "by_match.", ".count"


class StoredCountedGift(TypedDict):
    """The part of a gift that counts; see `CountedGift`."""

    match: str | None
    amount: int
    email_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]


class StoredChange(TypedDict):
    """A gift change as settling stores it: without fields that are empty or follow from others."""

    _id: ObjectId
    donation_id: ObjectId
    kinds: list[GiftChangeKind]
    currency: str
    before: NotRequired[StoredCountedGift]
    after: NotRequired[StoredCountedGift]
    refunded: NotRequired[int]


class CountedGift(NamedTuple):
    """The part of a gift that the figures of its fundraiser include.

    Attributes:
        counts: whether the gift is in the number of gifts.
        match: class of the match, such as `link`; None if the gift does not count.
        net: minor units after refunds, in the amount raised.
        refunded: minor units in the refunded amount. A gift that was refunded in full has them.
    """

    counts: bool = False
    match: str | None = None
    email_id: ObjectId | None = None
    mailing_id: ObjectId | None = None
    net: int = 0
    refunded: int = 0

    @classmethod
    def of(cls, gift: DonationRow) -> Self:
        """Return the state that the figures are about to include."""
        if gift.get("deleted_at") is not None:
            return cls()
        refunded = gift.get("refunded_amount", 0) if is_money_taken(gift) else 0
        if not is_counted(gift):
            return cls(refunded=refunded)
        links = gift.get("email_id"), gift.get("mailing_id")
        return cls(True, read_match(gift), *links, net_amount(gift), refunded)

    @classmethod
    def counted(cls, gift: DonationRow) -> "CountedGift":
        """Return the state that the figures include so far."""
        if not gift.get("counted"):
            return NOT_COUNTED
        counted = from_stored(gift["counted"])
        amounts = counted.get(("fundraisers", gift["fundraiser_id"]), {})
        refunded = sum(n for name, n in amounts.items() if name.startswith("refunded."))
        if not amounts.get("donations_count"):
            return cls(refunded=refunded)
        ids = dict(counted)
        return cls(
            True,
            _find_match(amounts),
            next((id_ for name, id_ in ids if name == "emails"), None),
            next((id_ for name, id_ in ids if name == "mailings"), None),
            sum(n for name, n in amounts.items() if name.startswith("raised.")),
            refunded,
        )

    def to_stored(self) -> StoredCountedGift:
        """Return the form in `gift_changes`."""
        stored: StoredCountedGift = {"match": self.match, "amount": self.net}
        if self.email_id is not None:
            stored["email_id"] = self.email_id
        if self.mailing_id is not None:
            stored["mailing_id"] = self.mailing_id
        return stored


NOT_COUNTED = CountedGift()


def build_change(gift: DonationRow, before: CountedGift, after: CountedGift) -> StoredChange:
    """Return the change of a gift that its settlement stores."""
    # A gift that an earlier version counted was counted before.
    is_first = not gift.get("stopped") and not gift.get("counted")
    change: StoredChange = {
        "_id": ObjectId(),
        "donation_id": gift["_id"],
        "kinds": list_kinds(gift, before, after, is_first=is_first),
        "currency": gift["currency"],
    }
    if before.counts:
        change["before"] = before.to_stored()
    if after.counts:
        change["after"] = after.to_stored()
    if after.refunded != before.refunded:
        change["refunded"] = after.refunded - before.refunded
    return change


def _find_match(amounts: Mapping[str, int]) -> str | None:
    for name in amounts:
        if name.startswith(MATCH_PREFIX) and name.endswith(MATCH_SUFFIX):
            return get_current_match(name[len(MATCH_PREFIX) : -len(MATCH_SUFFIX)], None)
    return None


def list_kinds(
    gift: DonationRow, before: CountedGift, after: CountedGift, *, is_first: bool
) -> list[GiftChangeKind]:
    """Return the kinds of a change. The first one explains the difference of the amounts.

    Args:
        is_first: whether no change of this gift was noted before.
    """
    if gift.get("deleted_at") is not None:
        return ["deleted"]
    if not before.counts and after.counts:
        return ["new" if is_first else "status"]
    kinds: list[GiftChangeKind] = []
    if after.counts != before.counts or not after.counts:
        kinds.append("refunded" if gift["status"] == "refunded" else "status")
    elif after.refunded != before.refunded:
        kinds.append("refunded")
    if before.counts and after.counts and _is_matched_again(before, after):
        kinds.append("pinned" if _is_pinned(gift) else "matched_again")
    return kinds or ["status"]


def _is_pinned(gift: DonationRow) -> bool:
    decision = gift.get("decision")
    return bool(decision and decision.get("rule") == "pin")


def _is_matched_again(before: CountedGift, after: CountedGift) -> bool:
    links = ("match", "email_id", "mailing_id")
    return any(getattr(before, name) != getattr(after, name) for name in links)
