"""Lines for lists of gifts, with the names of the fundraiser, mailing and user."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from documents.donation import Donation
from documents.email import MAILED_FILTER, Email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.user import User

MAX_WATCHED_GIFTS = 50
MAX_SEARCHED_PEOPLE, MAX_LISTED_CANDIDATES = 20, 20
EMAILS_BY_USER_INDEX = "user_id_1_fundraiser_id_1_sent_at_1"


@dataclass(frozen=True)
class GiftLine:
    """A gift and the names of related records. A deleted record's name is None."""

    gift: Donation
    fundraiser: str | None
    mailing: str | None
    user: str | None


@dataclass(frozen=True)
class ConsideredEmail:
    """An email that a decision considered, and the reason for its choice or rejection."""

    email: Email | None
    mailing: str | None
    user: User | None
    reason: str


def list_latest_gifts(
    organization_id: ObjectId, fundraiser_id: ObjectId, number: int
) -> list[GiftLine]:
    """List a fundraiser's latest gifts by the time of recording, newest first."""
    found = Donation.live(organization_id, fundraiser_id=fundraiser_id).order_by("-id")
    return describe_gifts(organization_id, list(found.limit(number)))


def find_latest_fundraisers(organization_id: ObjectId) -> list[ObjectId]:
    """List the fundraisers of the latest gifts.

    A page watches their counters, because the next gifts probably change the same counters.
    """
    found = (
        Donation.live(organization_id)
        .order_by("-id")
        .limit(MAX_WATCHED_GIFTS)
        .only("fundraiser_id")
    )
    return list(dict.fromkeys(gift.fundraiser_id for gift in found))


def describe_gifts(organization_id: ObjectId, gifts: list[Donation]) -> list[GiftLine]:
    """Add names to gifts. This takes three queries for any number of gifts."""
    fundraisers = _names(Fundraiser, organization_id, (gift.fundraiser_id for gift in gifts))
    mailings = _names(Mailing, organization_id, (gift.mailing_id for gift in gifts))
    users = _names(User, organization_id, (gift.user_id for gift in gifts))
    return [
        GiftLine(
            gift,
            fundraisers.get(gift.fundraiser_id),
            mailings.get(gift.mailing_id),
            users.get(gift.user_id),
        )
        for gift in gifts
    ]


def list_considered_emails(
    organization_id: ObjectId, decision: dict[str, Any]
) -> list[ConsideredEmail]:
    """List the emails that a decision considered, each with its reason."""
    reasons = [(one["email_id"], one["reason"]) for one in decision.get("considered", [])]
    ids = [id_ for id_, _ in reasons]
    emails = {email.id: email for email in Email.live(organization_id, id__in=ids)}
    mailings = _names(Mailing, organization_id, (one.mailing_id for one in emails.values()))
    of_users = [email.user_id for email in emails.values()]
    users = {user.id: user for user in User.live(organization_id, id__in=of_users)}

    def tell(id_: ObjectId, reason: str) -> ConsideredEmail:
        email = emails.get(id_)
        if email is None:
            return ConsideredEmail(None, None, None, reason)
        return ConsideredEmail(
            email, mailings.get(email.mailing_id), users.get(email.user_id), reason
        )

    return [tell(id_, reason) for id_, reason in reasons]


def list_pin_candidates(gift: Donation, search: str = "") -> list[ConsideredEmail]:
    """List the latest emails that staff can pin a gift to.

    Without a search, list emails to the gift's user. With a search, list emails to users whose name
    or address contains the words. Include emails of other fundraisers.
    """
    people = User.find_by_words(gift.organization_id, search, MAX_SEARCHED_PEOPLE) if search else []
    if not search and gift.user_id is not None:
        people = list(User.live(gift.organization_id, id=gift.user_id))
    users = {user.id: user for user in people}
    of = {"user_id__in": list(users), **MAILED_FILTER}
    sent = Email.live(gift.organization_id, **of).hint(EMAILS_BY_USER_INDEX)
    emails = list(sent.order_by("-id").limit(MAX_LISTED_CANDIDATES)) if users else []
    mailings = _names(Mailing, gift.organization_id, (email.mailing_id for email in emails))
    return [
        ConsideredEmail(email, mailings.get(email.mailing_id), users[email.user_id], "")
        for email in emails
    ]


def _names(
    kind: Any, organization_id: ObjectId, ids: Iterable[ObjectId | None]
) -> dict[ObjectId | None, str]:
    wanted = {id_ for id_ in ids if id_ is not None}
    if not wanted:
        return {}
    found = kind.live(organization_id, id__in=list(wanted)).only("id", "name")
    return {one.id: one.name for one in found}
