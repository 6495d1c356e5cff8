"""Accounts: people in the whole service. A membership in staff.py ties one to an organization."""

from typing import Any, ClassVar, Self

from mongoengine import BooleanField, DateTimeField, IntField, NotUniqueError, StringField

from config.database import await_majority
from documents.errors import Conflict
from documents.people.spellings import PeopleByAddress, list_address_keys
from documents.storage.base import Document
from documents.storage.marks import build_text_condition
from documents.values.address import to_canonical
from documents.values.time import now

MAX_ENSURE_ATTEMPTS = 3


class Account(Document):
    """A person with an email address, which signs in to all organizations of the person.

    An account belongs to no organization. If its last membership ends, it stays without a password.
    """

    email = StringField(required=True)
    name = StringField(required=True)
    address = StringField(required=True)  # canonical
    password = StringField()  # its hash; None if the person signs in only by link
    # A password change or a sign-out everywhere increases it, which voids earlier sessions and
    # links. This includes a session that a request with the old password creates at that moment.
    epoch = IntField(default=0)
    # Whether the operator, or a mail to the address, has reached the person. Otherwise, the
    # inviting admin could choose the password of the new account.
    is_proved = BooleanField(default=True)
    created_at = DateTimeField(default=now)
    added_at = DateTimeField()  # when another organization last added the person
    joined_at = DateTimeField()  # when the last membership began
    removed_at = DateTimeField()  # when one of several memberships ended last

    meta: ClassVar[dict[str, Any]] = {
        "collection": "accounts",
        "auto_create_index": False,
        "indexes": [{"fields": ["address"], "unique": True}],
    }

    @classmethod
    def known(cls, email: str) -> Self | None:
        """Return the account with this address, in any spelling; None if no one has it."""
        query = {"address": build_text_condition(in_=list_address_keys(email))}
        found = cls.objects(__raw__=query)
        return PeopleByAddress((one.address, one.email, one) for one in found).get(email)

    @classmethod
    def ensure(cls, name: str, email: str, **new_values: Any) -> tuple[Self, bool]:
        """Return the account with this address, and whether it is new.

        Args:
            new_values: what only a new account gets.
        """
        for _ in range(MAX_ENSURE_ATTEMPTS):
            if (known := cls.known(email)) is not None:
                return known, False
            new = cls(name=name, email=email, address=to_canonical(email), **new_values)
            try:
                new.save(force_insert=True)
            except NotUniqueError:
                await_majority()  # so that a search finds the other account
            else:
                return new, True
        raise Conflict("Another request is adding this person. Retry the request.")

    def note_addition(self) -> None:
        """Record that another organization adds the person.

        For an unknown person, the admin waits for the write of a new account. So the time does not
        show who has one.
        """
        type(self).objects(id=self.id).update_one(set__added_at=now())

    def note_removal(self) -> None:
        """Record that one of several organizations has removed the person.

        For a person without other organizations, the admin waits until the password is deleted. So
        the time does not show who has an account elsewhere.
        """
        type(self).objects(id=self.id).update_one(set__removed_at=now())

    def keep(self) -> None:
        """Note a new membership.

        The deletion of another organization may delete an account without memberships. It then
        conflicts with this write and finds the new one, or this write restores the account.

        Raises:
            Conflict: a new account of the address has taken its place.
        """
        own = type(self).objects(id=self.id)
        if own.update_one(set__joined_at=now()):
            return
        try:
            self.save(force_insert=True)
        except NotUniqueError:
            raise Conflict("Another request is adding this person. Retry the request.") from None

    def renew(self, **changes: Any) -> Self:
        """Make changes, and void all earlier sessions and links, in one write."""
        renewed: Self = type(self).objects(id=self.id).modify(new=True, inc__epoch=1, **changes)
        return renewed
