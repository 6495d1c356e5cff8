"""Entries of the audit for single sign-on: acts of the provider, which no member caused."""

from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId

from documents.access.audit import AuditEntry, OpenAct
from documents.sign_on.admission import Admission
from documents.sign_on.rejections import SignOnReason
from documents.storage.process_cache import ProcessCache

SIGN_ON_ACTOR = "sign-on provider"
REJECTED_ACTION = "sign-in rejected: "
ADDED_ACTION = "member added as "
ROLE_ACTION = "role changed by claim: "
SESSIONS_ENDED_ACTION = "sessions ended"
ADOPTED_ACTION = "settings took effect"
MAX_LISTED_REJECTIONS = 20
# Strangers can cause these without the provider, so the audit does not record them.
UNRECORDED_REASONS: tuple[SignOnReason, ...] = ("state_unknown", "provider_missing")
# Strangers can cause these as well, but an admin must learn of them. So each process records each
# of them at most once in ten minutes for an organization.
LIMITED_REASONS: tuple[SignOnReason, ...] = (
    *("provider_changed", "provider_address", "provider_unavailable", "provider_busy"),
    *("provider_answer", "provider_metadata", "provider_issuer", "client_rejected"),
    *("code_missing", "code_rejected", "denied", "issuer_mixed_up"),
)
RECORD_INTERVAL_SECONDS = 600.0

_recorded: "ProcessCache[tuple[ObjectId, SignOnReason], bool]" = ProcessCache(
    RECORD_INTERVAL_SECONDS
)


@dataclass(frozen=True, slots=True)
class RejectedSignIn:
    """A rejected sign-in.

    Attributes:
        reference: request ID, which the person sees on the page.
    """

    at: datetime
    reason: str
    reference: str


def note_rejection(
    organization_id: ObjectId, reason: SignOnReason, reference: str, status: int
) -> None:
    """Record a rejected sign-in, unless strangers could cause any number of records."""
    if reason in UNRECORDED_REASONS or _recorded.get((organization_id, reason)):
        return
    if reason in LIMITED_REASONS:
        _recorded.put((organization_id, reason), True)
    _note(organization_id, f"{REJECTED_ACTION}{reason}", reference, status)


def note_admission(organization_id: ObjectId, admission: Admission) -> None:
    """Record a new member, or a role that the claims changed."""
    staff, former = admission.staff, admission.former_role
    if former is None:
        _note(organization_id, f"{ADDED_ACTION}{staff.role}", str(staff.id), 201)
    elif former != staff.role:
        _note(organization_id, f"{ROLE_ACTION}{former} to {staff.role}", str(staff.id), 200)


def note_adoption(organization_id: ObjectId) -> None:
    """Record that settings took effect because an admin signed in with them."""
    _note(organization_id, ADOPTED_ACTION, None, 200)


def note_ended_sessions(organization_id: ObjectId, number: int) -> None:
    """Record that the provider ended sessions."""
    if number:
        _note(organization_id, SESSIONS_ENDED_ACTION, None, 200)


def list_rejections(organization_id: ObjectId) -> list[RejectedSignIn]:
    """Return the last rejected sign-ins, newest first.

    Acts that a worker has not linked into the audit yet are among them.
    """
    found = {"organization_id": organization_id, "actor": SIGN_ON_ACTOR}
    found |= {"action__startswith": REJECTED_ACTION}
    acts = [
        *OpenAct.objects(**found).order_by("-id").limit(MAX_LISTED_REJECTIONS),
        *AuditEntry.objects(**found).order_by("-seq").limit(MAX_LISTED_REJECTIONS),
    ]
    # An act can be in both for a moment.
    own = {act.id: act for act in sorted(acts, key=lambda act: act.id, reverse=True)}
    return [
        RejectedSignIn(act.at, act.action.removeprefix(REJECTED_ACTION), act.record or "")
        for act in list(own.values())[:MAX_LISTED_REJECTIONS]
    ]


def _note(organization_id: ObjectId, action: str, record: str | None, outcome: int) -> None:
    act = OpenAct.begin(organization_id, SIGN_ON_ACTOR, action, record=record)
    act.finish(outcome)
