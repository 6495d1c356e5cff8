"""A user: a donor or prospect, who receives emails and can give."""

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

from documents.errors import Conflict
from documents.people.search_words import (
    build_word_condition,
    list_search_words,
    matches_terms,
    parse_terms,
)
from documents.people.spellings import PeopleByAddress, list_address_keys, list_safe_keys
from documents.storage.export_outbox import EXPORT_INDEX, Exported, build_export_mark
from documents.storage.marks import build_text_condition, text_index, unique_index
from documents.storage.record import Record
from documents.values.address import to_canonical, to_mailbox
from documents.values.time import now

MAX_FORMER_MAILBOXES = 50
MAX_SEARCHED_USERS = 500
# By word, and within one by id: so a search goes on where its page before ended.
USER_WORDS_INDEX: dict[str, Any] = {
    "fields": ["organization_id", "words", "id"],
    "name": "words",
    "partialFilterExpression": {"words": {"$type": "string"}},
}


class User(Exported, Record):
    """A person of one organization, known by an address that is unique in every spelling."""

    name = StringField(required=True)
    email = StringField(required=True)
    erasing = StringField()  # the address, until every trace of it is gone; see erasure.py
    erasing_names = ListField(StringField())
    erase_due = DateTimeField()
    address = StringField()  # canonical; unset by deletion, so that the address is free again
    mailbox = StringField()  # where mail to it ends: what donors' addresses are compared with
    former_mailboxes = ListField(StringField())  # their gifts from there stay theirs
    words = ListField(StringField())  # of name and address: what staff search by; see recipients.py
    # Gifts from these are to look for their user and email again; see user_changes.py.
    rematch_mailboxes = ListField(StringField())
    rematch_due = DateTimeField()
    rematch_page = DictField()  # how far that is, for the mark it was done for

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
            ["organization_id", "donations_count", "id"],
            ["organization_id", "emails_count", "id"],
            ["organization_id", "last_donated_at", "id"],
        ],
    }

    @classmethod
    def create(
        cls, organization_id: ObjectId, name: str, email: str, id_: ObjectId | None = None
    ) -> Self:
        """Add a person.

        Raises:
            Conflict: the organization has one with this address.
        """
        user = cls(id=id_, organization_id=organization_id, **build_user_values(name, email))
        user, is_new = user.insert_unless(lambda: cls.by_address(organization_id, email))
        if not is_new:
            raise Conflict("A user with this email exists.")
        return user

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Turn an address, in whatever spelling, into a condition on its key."""
        rest = {name: value for name, value in given.items() if name != "email"}
        if "email" not in given:
            return rest
        return rest | {"address": build_text_condition(in_=list_safe_keys(given["email"]))}

    @classmethod
    def find_or_create(cls, organization_id: ObjectId, name: str, email: str) -> Self:
        """The person with this address, added when there is none. Safe in parallel."""
        user = cls.by_address(organization_id, email)
        if user:
            return user
        new = cls(organization_id=organization_id, **build_user_values(name, email))
        return new.insert_unless(lambda: cls.by_address(organization_id, email))[0]

    @classmethod
    def by_address(cls, organization_id: ObjectId, email: str) -> Self | None:
        """Return the person with this address, in whatever spelling, if there is one."""
        found = cls.live(
            organization_id, __raw__={"address": build_text_condition(in_=list_address_keys(email))}
        )
        return PeopleByAddress((user.address, user.email, user) for user in found).get(email)

    @classmethod
    def find_by_words(cls, organization_id: ObjectId, search: str, most: int) -> list[Self]:
        """People whose name or address has words that begin like all of these; some of many."""
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
        """Change the name or the address.

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
            raise Conflict("A user with this email exists.") from None

    def _move(self) -> None:
        """Be found by the new address, and by the old one as long as nobody else has it."""
        new = build_address_values(self.email)
        gifts = {*self.rematch_mailboxes, *new["rematch_mailboxes"], self.mailbox}
        former = {*self.former_mailboxes, self.mailbox} - {new["mailbox"]}
        for name, value in new.items():
            setattr(self, name, value)
        self.former_mailboxes = sorted(former)[:MAX_FORMER_MAILBOXES]
        self.rematch_mailboxes = sorted(gifts)


def build_user_values(name: str, email: str) -> dict[str, Any]:
    """What a new user of this name and address stores of them."""
    return {
        "name": name,
        "words": list_search_words(name, email),
        **build_address_values(email),
        **build_export_mark(),
    }


def build_address_values(email: str) -> dict[str, Any]:
    """What a user with this address is found by, marked so that gifts from there are looked at."""
    where = to_mailbox(email)
    return {
        "email": email,
        "address": to_canonical(email),
        "mailbox": where,
        "rematch_mailboxes": [where],
        "rematch_due": now(),
    }
