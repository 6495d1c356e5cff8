"""Email: one message to one user. Matching ties gifts to emails."""

from typing import Any

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ListField,
    MapField,
    ObjectIdField,
    StringField,
    get_db,
)

from documents.errors import Unacceptable
from documents.experiment import has_arm, make_arm_id, read_arm_name
from documents.giving_links.link_token import make_token, make_trap_token
from documents.index_tables.email_pages import list_by_gifts
from documents.rows.collections import collection
from documents.rows.fundraiser import MailingRow
from documents.storage.bounded_pages import read_bounded_page
from documents.storage.marks import due_index, failed_index, unique_index
from documents.storage.pagination import RecordPage
from documents.storage.record import CountedRecord, Record

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
MAILED_FILTER: dict[str, Any] = {"held_out": None}  # other emails must not be sent


def build_action_condition(field: str) -> dict[str, Any]:
    """Return the MongoDB condition for emails on which the field is set."""
    return {field: True if field == "donated" else {"$type": "date"}}


def _held_out_index(owner: str) -> dict[str, Any]:
    """Return the index that lists the held-out emails of an owner. Other emails have no key."""
    return {
        "fields": [owner, "id"],
        "name": f"held_out_{owner}",
        "partialFilterExpression": {"held_out": True},
    }


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
            _held_out_index("organization_id"),
            _held_out_index("mailing_id"),
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
        """Convert filters by `held_out` and `arm` into conditions on stored fields.

        Raises:
            Unacceptable: an arm without its mailing.
        """
        own = {name: value for name, value in given.items() if name != "arm"}
        if "held_out" in given:  # other emails lack the field
            own["held_out"] = True if given["held_out"] else None
        if "arm" in given:
            if "mailing_id" not in given:
                raise Unacceptable("/arm", "mailing_id", "Set mailing_id, too.")
            own["arm_id"] = make_arm_id(given["mailing_id"], given["arm"])
        return own

    @classmethod
    def list_sorted(cls, organization_id: ObjectId, **asked: Any) -> RecordPage | None:
        """Return a page of an arm's emails, of emails with gifts, or in the order of gifts.

        Return None for other lists.

        Raises:
            Unacceptable: an arm's emails in the order of their gifts.
        """
        filters = asked["filters"]
        if "arm_id" in filters and "user_id" not in filters:  # a user has few emails
            return cls._list_arm(organization_id, **asked)
        return list_by_gifts(cls, organization_id, **asked)

    @classmethod
    def _list_arm(cls, organization_id: ObjectId, **asked: Any) -> RecordPage:
        if asked["sort"].removeprefix("-") != "_id":
            raise Unacceptable("/sort", "combined", "Must not be combined with `arm`.")
        filters = asked["filters"]
        of = {"_id": filters["mailing_id"], "organization_id": organization_id}
        mailing = collection(get_db(), MailingRow).find_one(of, {"experiment": 1})
        if not has_arm(mailing, read_arm_name(filters["arm_id"])):
            return RecordPage([], None)
        owner = {"mailing_id": filters["mailing_id"]}
        return read_bounded_page(cls, organization_id, owner=owner, index=MAILING_ID_INDEX, **asked)
