"""Email: one message to one user. Matching ties gifts to emails."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ListField,
    MapField,
    NotUniqueError,
    ObjectIdField,
    QuerySet,
    StringField,
    get_db,
)

from documents.errors import Conflict, NotFound, Unacceptable
from documents.experiment import (
    EXPERIMENT_FIELDS,
    build_arm_fields,
    check_arm,
    read_arm_name,
    start_experiments,
)
from documents.fundraiser import Fundraiser
from documents.giving_links.link_token import make_token, make_trap_token
from documents.index_tables.email_index import MAILING_ROWS_INDEX, EmailIndex
from documents.index_tables.email_pages import list_by_gifts
from documents.index_tables.former_layout import (
    FORMER_RARE_ACTIONS_INDEX,
    is_email_index_filled,
)
from documents.mailing import Mailing
from documents.rows.email import EmailRow
from documents.rows.fundraiser import MailingRow
from documents.segments.recording import SegmentOwner, build_segment_values
from documents.storage.marks import due_index, failed_index, unique_index
from documents.storage.pagination import RecordPage
from documents.storage.record import CountedRecord, Record
from documents.user import User
from documents.values.time import now

# The fields that recipients of a mailing can be filtered by; see reports/recipients.py.
RECIPIENT_ACTION_FIELDS: dict[str, tuple[str, ...]] = {
    "opened": ("first_opened_at", "first_clicked_at"),  # a click implies an open
    "clicked": ("first_clicked_at",),
    "gave": ("donated",),
    "bounced": ("bounced_at", "dropped_at"),
    "left": ("unsubscribed_at", "spam_reported_at"),
}
ID_INDEX, MAILING_ID_INDEX, USER_EMAILS_INDEX = (
    "_id_",
    "mailing_id_1__id_1",
    "user_id_1_fundraiser_id_1_sent_at_1",
)
IMPORT_KEY_BYTES = 12
MAILED_FILTER: dict[str, Any] = {"held_out": None}  # other emails must not be sent
COMMON_ACTIONS = {"opened", "clicked"}
EMAILS_PER_COMMON_ACTION = 2  # at least one in this many emails usually has a common action


def build_action_condition(field: str) -> dict[str, Any]:
    """Return the MongoDB condition for emails on which the field is set."""
    return {field: True if field == "donated" else {"$type": "date"}}


class Email(CountedRecord, Record):
    """A message that was sent or will be sent. Events and donations report its effects."""

    fundraiser_id = ObjectIdField(required=True)
    mailing_id = ObjectIdField()
    user_id = ObjectIdField(required=True)
    sent_at = DateTimeField()
    import_key = StringField()
    # the user's attributes when the email was recorded, and the segments that follow from them
    attributes = DictField(default=None)
    segment_ids = ListField(ObjectIdField(), default=None)
    erased = BooleanField()  # the email's user was erased; see privacy/erasure.py
    # Only in an experiment; see documents/experiment.py. An email that is held out is never sent.
    arm_id = StringField()
    arm_segment_ids = ListField(ObjectIdField(), default=None)
    held_out = BooleanField()
    outcome_from = DateTimeField()
    outcome_until = DateTimeField()
    organization_wide = BooleanField()

    opens = IntField(default=0)
    clicks = IntField(default=0)
    machine_opens = IntField(default=0)
    machine_clicks = IntField(default=0)
    unknown_events = IntField(default=0)
    first_opened_at = DateTimeField()
    last_opened_at = DateTimeField()
    first_clicked_at = DateTimeField()
    last_clicked_at = DateTimeField()
    deferred_at = DateTimeField()
    delivered_at = DateTimeField()
    bounced_at = DateTimeField()
    blocked_at = DateTimeField()
    dropped_at = DateTimeField()
    unsubscribed_at = DateTimeField()
    resubscribed_at = DateTimeField()
    spam_reported_at = DateTimeField()
    left = MapField(DateTimeField())  # when the user left, by unsubscribe group or "all"
    back = MapField(DateTimeField())
    # This and the other rare actions are found by means of their index table.
    donated = BooleanField(default=False)
    donations_count = IntField(default=0)
    raised = MapField(IntField())
    # a decision that holds the email writes it to cause write conflicts; never read
    matched_at = DateTimeField()
    outgoing = DictField(default=None)  # state of the last outgoing event; see outgoing/rules.py

    meta = {
        "collection": "emails",
        "indexes": [
            unique_index("import_key"),
            ["organization_id", "id"],
            ["user_id", "fundraiser_id", "sent_at"],
            ["fundraiser_id", "id"],
            ["mailing_id", "id"],
            due_index("fundraiser_id"),
            failed_index(),
        ],
    }

    @property
    def link_token(self) -> str:
        """Token that names the email in a giving link."""
        return make_token(self.organization_id, self.id)

    @property
    def trap_token(self) -> str:
        """Token for a link in the email that people cannot see."""
        return make_trap_token(self.organization_id, self.id)

    @classmethod
    def create(
        cls, organization_id: ObjectId, values: dict[str, Any], id_: ObjectId | None = None
    ) -> Self:
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
        mailing = _mailing(fundraiser, values.get("mailing_id"))
        sent_at = values.get("sent_at", (mailing.get("sent_at") if mailing else None) or now())
        check_arm(mailing, values.get("arm"))
        user = _user(organization_id, values)
        if mailing:  # last, because an experiment that has started is hard to change
            start_experiments([mailing])
            check_arm(mailing, values.get("arm"))
        owner = SegmentOwner(organization_id, fundraiser.id, mailing["_id"] if mailing else None)
        sent = build_sent_fields(mailing, user.id, sent_at, values.get("arm"))
        email = cls(
            id=id_,
            organization_id=organization_id,
            fundraiser_id=fundraiser.id,
            mailing_id=owner.mailing_id,
            user_id=user.id,
            **sent,
            **build_segment_values(owner, user.email, user.attributes, sent.get("arm_id")),
        )
        return email._insert_once(mailing) if mailing and email.arm_id else email.insert()

    def _insert_once(self, mailing: MailingRow) -> Self:
        """Store an email of an experiment, in which each user has one email of the mailing."""
        self.import_key = make_mailing_key(mailing["_id"], self.user_id)
        try:
            return self.insert()
        except NotUniqueError:
            raise Conflict(
                "This mailing has an email to the user. In an experiment, each user has one."
            ) from None

    @property
    def arm(self) -> str | None:
        """Name of the email's arm, if its mailing has an experiment."""
        return read_arm_name(self.arm_id) if self.arm_id else None

    @property
    def is_held_out(self) -> bool:
        """Return whether the email must not be sent."""
        return bool(self.held_out)

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Convert a filter by `held_out` into a condition on the field, which others lack."""
        if "held_out" not in given:
            return given
        return {**given, "held_out": True if given["held_out"] else None}

    @classmethod
    def query_mailing(
        cls, mailing: Mailing, query: dict[str, Any], index: str, fields: Sequence[str]
    ) -> QuerySet:
        """Return a query for a mailing's emails, without those that are held out.

        The hint is necessary: a cached plan that was best for one mailing may read all of another.
        """
        of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id}
        found = cls.objects(__raw__={**of, **MAILED_FILTER, "deleted_at": None, **query})
        return found.hint(index).only(*fields).as_pymongo()

    @classmethod
    def list_newest(
        cls, mailing: Mailing, did: str | None, before: ObjectId, number: int, fields: Sequence[str]
    ) -> tuple[list[EmailRow], ObjectId | None]:
        """Return the mailing's next emails whose recipients did this, newest first.

        Also return the ID at which the next page continues, or None at the end.
        """
        older, picks = (
            {"_id": {"$lt": before}},
            [build_action_condition(name) for name in RECIPIENT_ACTION_FIELDS.get(did or "", ())],
        )
        if did in COMMON_ACTIONS:
            return cls._among(mailing, older, {"$or": picks}, number, fields)
        if picks and is_email_index_filled(get_db()):
            return cls._with_rare_actions(mailing, {**older, "$or": picks}, number, fields)
        found = {
            row["_id"]: row
            for pick in picks or [{}]
            for row in cls.query_mailing(
                mailing,
                older | pick,
                FORMER_RARE_ACTIONS_INDEX if pick else MAILING_ID_INDEX,
                fields,
            )
            .order_by("-id")
            .limit(number)
        }
        rows = [found[id_] for id_ in sorted(found, reverse=True)[:number]]
        return rows, rows[-1]["_id"] if len(rows) == number else None

    @classmethod
    def _with_rare_actions(
        cls, mailing: Mailing, query: dict[str, Any], number: int, fields: Sequence[str]
    ) -> tuple[list[EmailRow], ObjectId | None]:
        """Return a page of emails from the index table.

        It is short if emails were deleted a moment ago.
        """
        of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id}
        found = EmailIndex.objects(__raw__={**of, **query}).hint(MAILING_ROWS_INDEX)
        ids = [row.id for row in found.only("id").order_by("-id").limit(number)]
        these = cls.query_mailing(mailing, {"_id": {"$in": ids}}, ID_INDEX, fields)
        rows = sorted(these, key=lambda row: row["_id"], reverse=True)
        return rows, ids[-1] if len(ids) == number else None

    @classmethod
    def list_sorted(cls, organization_id: ObjectId, **asked: Any) -> RecordPage | None:
        """Return a page of emails with gifts, or in the order of gifts; None for other lists."""
        return list_by_gifts(cls, organization_id, **asked)

    @classmethod
    def _among(
        cls,
        mailing: Mailing,
        older: dict[str, Any],
        pick: dict[str, Any],
        number: int,
        fields: Sequence[str],
    ) -> tuple[list[EmailRow], ObjectId | None]:
        """Return a page of emails with a common action from a bounded range.

        It may be short or empty.
        """
        looked_at = cls.query_mailing(mailing, older, MAILING_ID_INDEX, ["id"]).order_by("-id")
        edge = looked_at.skip(number * EMAILS_PER_COMMON_ACTION).first()
        near = {"_id": {**older["_id"], **({"$gte": edge["_id"]} if edge else {})}}
        found = (
            cls.query_mailing(mailing, near | pick, MAILING_ID_INDEX, fields)
            .order_by("-id")
            .limit(number)
        )
        rows = list(found)
        return rows, rows[-1]["_id"] if len(rows) == number else edge and edge["_id"]


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


def _mailing(fundraiser: Fundraiser, mailing_id: ObjectId | None) -> MailingRow | None:
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


def _user(organization_id: ObjectId, values: dict[str, Any]) -> User:
    if values.get("user"):
        return User.find_or_create(organization_id, **values["user"])
    try:
        return User.fetch(organization_id, values["user_id"])
    except NotFound:
        raise Unacceptable("/user_id", "not_found", "Must be the ID of a user.") from None
