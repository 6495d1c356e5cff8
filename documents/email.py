"""An email: one message to one user. Matching ties gifts to emails."""

from collections.abc import Sequence
from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    IntField,
    MapField,
    ObjectIdField,
    QuerySet,
    StringField,
)

from documents.errors import NotFound, Unacceptable
from documents.fundraiser import Fundraiser
from documents.giving_links.link_token import token
from documents.mailing import Mailing
from documents.rows.email import EmailRow
from documents.storage.marks import due_index, failed_index, unique_index
from documents.storage.record import Record, Source
from documents.user import User
from documents.values.time import now

# By which fields the recipients of a mailing are picked out; see recipients.py.
DID: dict[str, tuple[str, ...]] = {
    "opened": ("first_opened_at",),
    "clicked": ("first_clicked_at",),
    "gave": ("donated",),
    "bounced": ("bounced_at", "dropped_at"),
    "left": ("unsubscribed_at", "spam_reported_at"),
}
# What happens to few emails has one index for all of it. There is none of opens and clicks: to
# write a field that any index knows of, MongoDB makes the keys of all of them anew, and an index
# for each of these seven fields took two fifths of the rate at which events are counted.
RARE_FIELDS = ("donated", "bounced_at", "dropped_at", "unsubscribed_at", "spam_reported_at")
RARE, BY_ID, BY_USER = "mailing_rare", "mailing_id_1__id_1", "user_id_1_fundraiser_id_1_sent_at_1"
COMMON = {"opened", "clicked"}
COMMONLY = 2  # one of so many, or thereabouts


def picked(field: str) -> dict[str, Any]:
    """The condition that the field picks emails out by."""
    return {field: True if field == "donated" else {"$type": "date"}}


class Email(Source, Record):
    """A message sent, or about to be. What became of it is told by events and donations."""

    fundraiser_id = ObjectIdField(required=True)
    mailing_id = ObjectIdField()
    user_id = ObjectIdField(required=True)
    sent_at = DateTimeField()
    import_key = StringField()
    erased = BooleanField()  # its user was; see erasure.py

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
    left = MapField(DateTimeField())  # by unsubscribe group, or "all"
    back = MapField(DateTimeField())
    donated = BooleanField(default=False)
    donations_count = IntField(default=0)
    raised = MapField(IntField())
    matched_at = DateTimeField()  # written by deciding to hold the email; nobody reads it

    meta = {
        "collection": "emails",
        "indexes": [
            unique_index("import_key"),
            ["organization_id", "id"],
            ["organization_id", "donations_count", "id"],
            {
                "fields": ["organization_id", "donated", "id"],
                "partialFilterExpression": {"donated": True},
            },
            ["user_id", "fundraiser_id", "sent_at"],
            ["fundraiser_id", "id"],
            ["mailing_id", "id"],
            {
                "fields": ["mailing_id", "id"],
                "name": RARE,
                "partialFilterExpression": {"$or": [picked(field) for field in RARE_FIELDS]},
            },
            due_index(),
            due_index("fundraiser_id"),
            failed_index(),
        ],
    }

    @property
    def link_token(self) -> str:
        """What a giving link carries to name the email."""
        return token(self.organization_id, self.id)

    @classmethod
    def create(
        cls, organization_id: ObjectId, values: dict[str, Any], id_: ObjectId | None = None
    ) -> Self:
        """Record a message.

        Args:
            values: fundraiser_id, and either user_id or user (found by its address, or created);
                mailing_id; sent_at, which left out is when the mailing was sent, or now.

        Raises:
            Unacceptable: no such fundraiser, mailing of that fundraiser, or user.
        """
        fundraiser = Fundraiser.named(organization_id, values["fundraiser_id"])
        mailing = _mailing(fundraiser, values.get("mailing_id"))
        sent_at = values.get("sent_at", (mailing.sent_at if mailing else None) or now())
        email = cls(
            id=id_,
            organization_id=organization_id,
            fundraiser_id=fundraiser.id,
            mailing_id=mailing.id if mailing else None,
            user_id=_user(organization_id, values).id,
            sent_at=sent_at,
        )
        return email.insert()

    @classmethod
    def of_mailing(
        cls, mailing: Mailing, query: dict[str, Any], index: str, fields: Sequence[str]
    ) -> QuerySet:
        """Rows of a mailing's emails. Hinted: a plan that is kept since it was best in one mailing
        may read the whole of another one."""
        of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id}
        found = cls.objects(__raw__={**of, "deleted_at": None, **query})
        return found.hint(index).only(*fields).as_pymongo()

    @classmethod
    def newest_of(
        cls, mailing: Mailing, did: str | None, before: ObjectId, number: int, fields: Sequence[str]
    ) -> tuple[list[EmailRow], ObjectId | None]:
        """The next emails of a mailing, newest first, whose recipients did this; and after which
        one more are to be looked for, or None at the end."""
        older, picks = {"_id": {"$lt": before}}, [picked(name) for name in DID.get(did or "", ())]
        if did in COMMON:
            return cls._among(mailing, older, picks[0], number, fields)
        found = {
            row["_id"]: row
            for pick in picks or [{}]
            for row in cls.of_mailing(mailing, older | pick, RARE if pick else BY_ID, fields)
            .order_by("-id")
            .limit(number)
        }
        rows = [found[id_] for id_ in sorted(found, reverse=True)[:number]]
        return rows, rows[-1]["_id"] if len(rows) == number else None

    @classmethod
    def _among(
        cls,
        mailing: Mailing,
        older: dict[str, Any],
        pick: dict[str, Any],
        number: int,
        fields: Sequence[str],
    ) -> tuple[list[EmailRow], ObjectId | None]:
        """What is common, among so many emails that it should be there. Perhaps it is not."""
        looked_at = cls.of_mailing(mailing, older, BY_ID, ["id"]).order_by("-id")
        edge = looked_at.skip(number * COMMONLY).first()
        near = {"_id": {**older["_id"], **({"$gte": edge["_id"]} if edge else {})}}
        found = cls.of_mailing(mailing, near | pick, BY_ID, fields).order_by("-id").limit(number)
        rows = list(found)
        return rows, rows[-1]["_id"] if len(rows) == number else edge and edge["_id"]


def _mailing(fundraiser: Fundraiser, mailing_id: ObjectId | None) -> Mailing | None:
    if mailing_id is None:
        return None
    mailing: Mailing | None = Mailing.live(
        fundraiser.organization_id, id=mailing_id, fundraiser_id=fundraiser.id
    ).first()
    if mailing is None:
        raise Unacceptable(
            "/mailing_id", "not_found", "There is no such mailing of this fundraiser."
        )
    return mailing


def _user(organization_id: ObjectId, values: dict[str, Any]) -> User:
    if values.get("user"):
        return User.find_or_create(organization_id, **values["user"])
    try:
        return User.fetch(organization_id, values["user_id"])
    except NotFound:
        raise Unacceptable("/user_id", "not_found", "There is no such user.") from None
