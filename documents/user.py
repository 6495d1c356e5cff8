"""User: a donor or prospect, who receives emails and can give."""

from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    DictField,
    IntField,
    ListField,
    MapField,
    NotUniqueError,
    StringField,
)

from documents.errors import Conflict, Unacceptable
from documents.index_tables.user_index import add_missing_row, delete_rows
from documents.index_tables.user_pages import list_by_counter
from documents.people.search_words import (
    build_word_condition,
    list_search_words,
    matches_terms,
    parse_terms,
)
from documents.people.spellings import PeopleByAddress, list_address_keys, list_safe_keys
from documents.storage.export_outbox import EXPORT_INDEX, Exported, build_export_mark
from documents.storage.marks import build_text_condition, text_index, unique_index
from documents.storage.pagination import RecordPage
from documents.storage.personal_data import (
    AddressField,
    AttributesField,
    NameField,
    check_search,
)
from documents.storage.record import Record
from documents.values.address import to_canonical, to_mailbox
from documents.values.attributes import (
    TOO_MANY_ATTRIBUTES_MESSAGE,
    Attributes,
    merge_attributes,
)
from documents.values.time import now

MAX_FORMER_MAILBOXES = 50
MAX_SEARCHED_USERS = 500
# Sorted by word, then by ID, so that the next page of a search continues after the last one.
USER_WORDS_INDEX: dict[str, Any] = {
    "fields": ["organization_id", "words", "id"],
    "name": "words",
    "partialFilterExpression": {"words": {"$type": "string"}},
}


class User(Exported, Record):
    """A person of one organization. All spellings of the address identify the same user."""

    name = NameField(required=True)
    email = AddressField(required=True)
    attributes = AttributesField()
    # the address, until erasure has removed all data; see privacy/erasure.py
    erasing = StringField()
    erasing_names = ListField(StringField())
    erase_due = DateTimeField()
    # canonical; deletion unsets it, so that a new user can have the address
    address = StringField()
    mailbox = StringField()  # mailbox of the address; matching compares donors' addresses with it
    # earlier mailboxes; gifts from them stay with the user
    former_mailboxes = ListField(StringField())
    # words of the name and address, for staff's search; see reports/recipients.py
    words = ListField(StringField())
    # Mailboxes whose gifts must be matched again; see matching/user_changes.py.
    rematch_mailboxes = ListField(StringField())
    rematch_due = DateTimeField()
    rematch_page = DictField()  # progress of that work, with the mark that it belongs to

    # settling an email that is not counted here writes it to cause write conflicts; never read
    enrolled_at = DateTimeField()

    # Sorted by means of their index table.
    emails_count = IntField(default=0)
    donations_count = IntField(default=0)
    donated = MapField(IntField())
    last_donated_at = DateTimeField()

    meta = {
        "collection": "users",
        "indexes": [
            unique_index("address"),
            text_index("mailbox"),
            text_index("former_mailboxes"),
            USER_WORDS_INDEX,
            {
                "fields": ["rematch_due"],
                "partialFilterExpression": {"rematch_due": {"$type": "date"}},
            },
            {
                "fields": ["erase_due"],
                "partialFilterExpression": {"erase_due": {"$type": "date"}},
            },
            EXPORT_INDEX,
            ["organization_id", "id"],
            ["organization_id", "name", "id"],
        ],
    }

    @classmethod
    def create(
        cls,
        organization_id: ObjectId,
        name: str,
        email: str,
        id_: ObjectId | None = None,
        attributes: Attributes | None = None,
    ) -> Self:
        """Add a person.

        Raises:
            Conflict: a user of the organization has this address.
        """
        values = build_user_values(name, email, attributes)
        user = cls(id=id_, organization_id=organization_id, **values)
        user, is_new = user.insert_unless(lambda: cls.by_address(organization_id, email))
        if not is_new:
            raise Conflict("A user with this email exists. Use or change that user.")
        return user

    def insert(self) -> Self:
        """Store a new user with the row in the index table; see `Record.insert`."""
        row = self.to_mongo()
        self.id = row.setdefault("_id", ObjectId())
        add_missing_row(row)
        try:
            return super().insert()
        except NotUniqueError:
            delete_rows([row["_id"]])
            raise

    def mark_deleted(self, **also: Any) -> None:
        """Mark the user as deleted, and as due, so that a worker deletes the index table's row."""
        super().mark_deleted(rematch_due=now(), **also)

    @classmethod
    def list_sorted(cls, organization_id: ObjectId, **asked: Any) -> RecordPage | None:
        """Return a page in the order of a counter; None for other lists."""
        return list_by_counter(cls, organization_id, **asked)

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Convert a filter by address, in any spelling, into a condition on its key."""
        rest = {name: value for name, value in given.items() if name != "email"}
        if "email" not in given:
            return rest
        return rest | {"address": build_text_condition(in_=list_safe_keys(given["email"]))}

    @classmethod
    def find_or_create(
        cls,
        organization_id: ObjectId,
        name: str,
        email: str,
        attributes: Attributes | None = None,
    ) -> Self:
        """Return the user with this address, or add one. Safe to run in parallel.

        Add the attributes to those of a user who exists.

        Raises:
            Unacceptable: the user would have too many attributes.
        """
        user = cls.by_address(organization_id, email)
        if user is None:
            values = build_user_values(name, email, attributes)
            new = cls(organization_id=organization_id, **values)
            user, is_new = new.insert_unless(lambda: cls.by_address(organization_id, email))
            if is_new:
                return user
        return user._add_attributes(attributes or {})

    def _add_attributes(self, given: Attributes) -> Self:
        def edit(user: Self) -> None:
            merged = merge_attributes(user.attributes, given)
            if merged is None:
                raise Unacceptable(
                    "/user/attributes", "too_many_attributes", TOO_MANY_ATTRIBUTES_MESSAGE
                )
            user.attributes = merged

        if all(self.attributes.get(name) == value for name, value in given.items()):
            return self
        return self.change(edit)

    @classmethod
    def by_address(cls, organization_id: ObjectId, email: str) -> Self | None:
        """Return the user with this address in any spelling, or None."""
        found = cls.live(
            organization_id, __raw__={"address": build_text_condition(in_=list_address_keys(email))}
        )
        return PeopleByAddress((user.address, user.email, user) for user in found).get(email)

    @classmethod
    def find_by_words(cls, organization_id: ObjectId, search: str, most: int) -> list[Self]:
        """Return users whose name or address has words that begin with all the search terms.

        It checks a limited number of users, so it can miss some.

        Raises:
            Unacceptable: names and addresses are hidden.
        """
        check_search(search)
        asked = parse_terms(search)
        if not asked:
            return []
        query = {
            "deleted_at": None,
            "words": build_text_condition(elemMatch=build_word_condition(asked[0])),
        }
        found = cls.objects(organization_id=organization_id, __raw__=query).hint("words")
        return [
            user for user in found.limit(MAX_SEARCHED_USERS) if matches_terms(user.words, asked)
        ][:most]

    def amend(self, changes: dict[str, Any]) -> Self:
        """Change the name or the address, or replace the attributes.

        Raises:
            Conflict: another user has the address.
        """

        def edit(user: Self) -> None:
            for name, value in changes.items():
                setattr(user, name, value)
            if "email" in changes and user.address != to_canonical(user.email):
                user._move()
            user.words = list_search_words(user.name, user.email)

        try:
            return self.change(edit)
        except NotUniqueError:
            raise Conflict("A user with this email exists. Use or change that user.") from None

    def _move(self) -> None:
        """Change the address. The old one stays valid for matching while no other user has it."""
        new = build_address_values(self.email)
        gifts = {*self.rematch_mailboxes, *new["rematch_mailboxes"], self.mailbox}
        former = {*self.former_mailboxes, self.mailbox} - {new["mailbox"]}
        for name, value in new.items():
            setattr(self, name, value)
        self.former_mailboxes = sorted(former)[:MAX_FORMER_MAILBOXES]
        self.rematch_mailboxes = sorted(gifts)


def build_user_values(
    name: str, email: str, attributes: Attributes | None = None
) -> dict[str, Any]:
    """Return the fields of a new user with this name, address and these attributes."""
    return {
        **({"attributes": dict(attributes)} if attributes else {}),
        "name": name,
        "words": list_search_words(name, email),
        **build_address_values(email),
        **build_export_mark(),
    }


def build_address_values(email: str) -> dict[str, Any]:
    """Return the fields that find a user by this address, and the mark to match its gifts again."""
    where = to_mailbox(email)
    return {
        "email": email,
        "address": to_canonical(email),
        "mailbox": where,
        "rematch_mailboxes": [where],
        "rematch_due": now(),
    }
