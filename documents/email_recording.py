"""The recording of an email: its user, its arm, its segments and its unique key.

Imports build many emails at once from the same parts; see imports/email_line.py.
"""

import hashlib
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.email import Email
from documents.errors import Conflict, NotFound, Unacceptable
from documents.experiment import (
    EXPERIMENT_FIELDS,
    build_arm_fields,
    check_arm,
    start_experiments,
)
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.rows.fundraiser import MailingRow
from documents.segments.recording import SegmentOwner, build_segment_values
from documents.storage.marks import build_text_condition
from documents.user import User
from documents.values.time import now

IMPORT_KEY_BYTES = 12


def record_email(
    organization_id: ObjectId, values: dict[str, Any], id_: ObjectId | None = None
) -> Email:
    """Record a message.

    Args:
        values: `fundraiser_id` and `user_id`, and optionally `mailing_id`, `sent_at` and `arm`.
            With `user` instead of `user_id`, find the user by address or create one. `sent_at`
            defaults to the mailing's, then to now.

    Raises:
        Unacceptable: the fundraiser, its mailing, the arm or the user does not exist.
        Conflict: the mailing has an experiment, and an email to this user.
    """
    fundraiser = Fundraiser.named(organization_id, values["fundraiser_id"])
    mailing = _find_mailing(fundraiser, values.get("mailing_id"))
    sent_at = values.get("sent_at", (mailing.get("sent_at") if mailing else None) or now())
    check_arm(mailing, values.get("arm"))
    user = _find_user(organization_id, values)
    if mailing:  # last, because an experiment that has started is hard to change
        start_experiments([mailing])
        check_arm(mailing, values.get("arm"))
    owner = SegmentOwner(organization_id, fundraiser.id, mailing["_id"] if mailing else None)
    sent = build_sent_fields(mailing, user.id, sent_at, values.get("arm"))
    email = Email(
        id=id_,
        organization_id=organization_id,
        fundraiser_id=fundraiser.id,
        mailing_id=owner.mailing_id,
        user_id=user.id,
        **sent,
        **build_segment_values(owner, user.email, user.attributes, sent.get("arm_id")),
    )
    return _insert_once(email, mailing) if mailing and email.arm_id else email.insert()


def _insert_once(email: Email, mailing: MailingRow) -> Email:
    """Store an email of an experiment, in which each user has one email of the mailing."""
    email.import_key = make_mailing_key(mailing["_id"], email.user_id)
    key = build_text_condition(eq=email.import_key)
    of = {"organization_id": email.organization_id, "import_key": key}
    stored, is_new = email.insert_unless(lambda: Email.objects(__raw__=of).first())
    if not is_new:
        raise Conflict(
            "This mailing has an email to the user. In an experiment, each user has one.",
            email_id=str(stored.id),
            arm=stored.arm,
        )
    return stored


def build_sent_fields(
    mailing: MailingRow | None, user_id: ObjectId, sent_at: datetime | None, arm: str | None
) -> dict[str, Any]:
    """Return the time of a new email and the fields of its experiment.

    An email that is held out is not sent, so it has no time.
    """
    fields = build_arm_fields(mailing, user_id, sent_at, arm)
    return {**fields, "sent_at": None if fields.get("held_out") else sent_at}


def make_mailing_key(mailing_id: ObjectId, user_id: ObjectId) -> str:
    """Return the unique key of a mailing's email to a user; see imports/emails.py."""
    return make_import_key((mailing_id, user_id, None)).hex()


def make_import_key(values: tuple[Any, ...]) -> bytes:
    """Return the digest of the values that identify an imported email."""
    return hashlib.blake2b(repr(values).encode(), digest_size=IMPORT_KEY_BYTES).digest()


def _find_mailing(fundraiser: Fundraiser, mailing_id: ObjectId | None) -> MailingRow | None:
    if mailing_id is None:
        return None
    query = {"_id": mailing_id, "fundraiser_id": fundraiser.id, "deleted_at": None}
    owner = {"organization_id": fundraiser.organization_id}
    mailing = Mailing._get_collection().find_one(owner | query, dict.fromkeys(EXPERIMENT_FIELDS, 1))
    if mailing is None:
        raise Unacceptable(
            "/mailing_id", "not_found", "Must be the ID of a mailing of this fundraiser."
        )
    found: MailingRow = mailing
    return found


def _find_user(organization_id: ObjectId, values: dict[str, Any]) -> User:
    if values.get("user"):
        return User.find_or_create(organization_id, **values["user"])
    try:
        return User.fetch(organization_id, values["user_id"])
    except NotFound:
        raise Unacceptable("/user_id", "not_found", "Must be the ID of a user.") from None
