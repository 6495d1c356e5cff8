"""Match decisions for a batch of gifts. Pure: `reading.py` reads the evidence first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId

from documents.conditions import is_matchable
from documents.donor import make_donor_id
from documents.gift_day import make_gift_day_id
from documents.matching.candidates import BatchEvidence
from documents.matching.fitting import MatchedGift
from documents.matching.instalments import first_of
from documents.matching.policy import MatchPolicy
from documents.matching.rules import Decision, list_reasons, match_gift
from documents.rows.donation import DonationRow, MatchFields, StoredDecision
from documents.values.delays import find_delay_key

# Classes that emails to the donor's address decide. Others do not depend on these emails.
ADDRESS_MATCHES = ("address", "none")

# Every field that a match sets on a gift. Unmatching a gift unsets all of them.
UNMATCHED: MatchFields = {
    "match": None,
    "decision": None,
    "email_id": None,
    "mailing_id": None,
    "user_id": None,
    "follows": None,
    "rematch": None,
    "fundraiser_donor_id": None,
    "mailing_donor_id": None,
    "fundraiser_day_id": None,
    "mailing_day_id": None,
    "delay": None,
}


@dataclass(frozen=True)
class Decided:
    """The decision on one gift.

    Attributes:
        gift: the gift's row, before the decision.
        user_id: the user who gave, if known.
        follows: the ID of the plan's first instalment, if the gift is a later one.
        rests_on: the IDs of the emails that the decision depends on.
    """

    gift: DonationRow
    decision: Decision
    user_id: ObjectId | None
    follows: ObjectId | None
    rests_on: tuple[ObjectId, ...]


def decide_all(evidence: BatchEvidence, policy: MatchPolicy) -> list[Decided]:
    """Decide all gifts of a batch.

    First instalments come first, because later instalments follow their decisions.
    """
    firsts = evidence.firsts
    known: dict[ObjectId, Decision] = {}
    decided = []
    for gift in sorted(evidence.gifts, key=lambda gift: first_of(gift, firsts) is not None):
        first = first_of(gift, firsts)
        followed = (known.get(first["_id"]) or evidence.earlier_decision(first)) if first else None
        of_gift = evidence.of_gift(gift, followed)
        found = match_gift(MatchedGift(gift["fundraiser_id"], gift["donated_at"]), of_gift, policy)
        known[gift["_id"]] = found
        decided.append(_decided(gift, found, first, evidence))
    return decided


def _decided(
    gift: DonationRow, decision: Decision, first: DonationRow | None, evidence: BatchEvidence
) -> Decided:
    email = decision.email
    # The donor's address identifies the user. If no user has that address, the recipient of the
    # matched email counts as the donor, because the recipient probably forwarded the email.
    user_id = evidence.users.get(gift["_id"]) or (email.user_id if email else None)
    others = evidence.list_donor_emails(gift) if decision.match in ADDRESS_MATCHES else ()
    rests_on = dict.fromkeys([*(one.id for one in others), *([email.id] if email else [])])
    return Decided(gift, decision, user_id, first["_id"] if first else None, tuple(rests_on))


def to_unmatch(gifts: Sequence[DonationRow]) -> list[DonationRow]:
    """Return the gifts that must lose their match, because no money was taken for them."""
    return [gift for gift in gifts if gift.get("match") and not is_matchable(gift)]


def update_of(decided: Decided, policy: MatchPolicy, at: datetime) -> MatchFields:
    """Return the new values for a decided gift's row. A value of None unsets the field."""
    gift, email = decided.gift, decided.decision.email
    who: DonationRow = {**gift, "user_id": decided.user_id}
    mailing_id = email.mailing_id if email else None
    return {
        "match": decided.decision.match,
        "email_id": email.id if email else None,
        "mailing_id": mailing_id,
        "user_id": decided.user_id,
        "follows": decided.follows,
        "rematch": None,
        "fundraiser_donor_id": make_donor_id("fundraiser", gift["fundraiser_id"], who),
        "mailing_donor_id": make_donor_id("mailing", mailing_id, who) if mailing_id else None,
        "fundraiser_day_id": make_gift_day_id("fundraiser", gift["fundraiser_id"], gift),
        "mailing_day_id": make_gift_day_id("mailing", mailing_id, gift) if mailing_id else None,
        "delay": _find_delay(decided),
        "decision": _stored(decided, policy, at),
    }


def _find_delay(decided: Decided) -> str | None:
    """Return the class of the time after the email.

    A later instalment has none, because its donor decided at the first one.
    """
    email = decided.decision.email
    if email is None or email.sent_at is None or decided.follows:
        return None
    return find_delay_key(email.sent_at, decided.gift["donated_at"])


def _stored(decided: Decided, policy: MatchPolicy, at: datetime) -> StoredDecision:
    decision, pin = decided.decision, decided.gift.get("pin")
    return {
        "rule": decision.rule,
        "touch": decision.touch,
        "note": decision.note,
        "window_seconds": int(policy.window.total_seconds()),
        "policy": policy.reference,
        "considered": list_reasons(decision.considered),
        "pinned_at": pin.get("at") if pin else None,
        "decided_at": at,
    }
