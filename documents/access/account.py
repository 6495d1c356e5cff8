"""Accounts: people in the whole service. A membership in staff.py ties one to an organization."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    IntField,
    ListField,
    NotUniqueError,
    ObjectIdField,
    StringField,
)

from config.database import await_majority
from documents.errors import Conflict
from documents.people.spellings import PeopleByAddress, list_address_keys
from documents.storage.base import Document
from documents.storage.marks import build_text_condition
from documents.values.address import to_canonical
from documents.values.time import now

MAX_ENSURE_ATTEMPTS = 3
CHANGING = "Another request is changing this person. Retry the request."


class Account(Document):
    """A person with an email address, which signs in to all organizations of the person.

    An account belongs to no organization. It ends with its last membership; see departures.py.
    """

    email = StringField(required=True)
    name = StringField(required=True)
    address = StringField(required=True)  # canonical
    password = StringField()  # its hash; None if the person signs in only by link
    # IDs of the memberships that the password opens; empty for all, also later ones. An admin can
    # follow an invitation, so a password that was chosen there opens only that organization.
    password_opens = ListField(ObjectIdField())
    # A password change or a sign-out everywhere increases it, which voids earlier sessions and
    # links. This includes a session that a request with the old password creates at that moment.
    epoch = IntField(default=0)
    created_at = DateTimeField(default=now)
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

        Mails go to the canonical spelling, because others choose the spelling of an invitation.

        Args:
            new_values: what only a new account gets.
        """
        for _ in range(MAX_ENSURE_ATTEMPTS):
            if (known := cls.known(email)) is not None:
                return known, False
            address = to_canonical(email)
            values = {"email": address, "address": address, "joined_at": now(), **new_values}
            new = cls(name=name, **values)
            try:
                new.save(force_insert=True)
            except NotUniqueError:
                await_majority()  # so that a search finds the other account
            else:
                return new, True
        raise Conflict("Another request is adding this person. Retry the request.")

    def admit(self, **values: Any) -> Self:
        """Note a new membership in one write. Given values void all earlier sessions and links.

        For an unknown person, the admin waits for the write of a new account. So the time does not
        show who has one. The end of another membership may delete the account. It then conflicts
        with this write and finds the new membership, or this write restores the account.

        Raises:
            Conflict: a new account of the address has taken its place.
        """
        restored = {name: self[name] for name in ("name", "email", "address")}
        update = {f"set_on_insert__{name}": restored[name] for name in restored.keys() - values}
        update |= {f"set__{name}": value for name, value in values.items()}
        update |= {"inc__epoch": 1} if values else {"set_on_insert__epoch": self.epoch + 1}
        update["set_on_insert__created_at"] = self.created_at
        own = type(self).objects(id=self.id)
        try:
            admitted: Self = own.modify(upsert=True, new=True, set__joined_at=now(), **update)
        except NotUniqueError:
            raise Conflict("Another request is adding this person. Retry the request.") from None
        return admitted

    def opens(self, staff_id: ObjectId) -> bool:
        """Return whether the password opens a membership."""
        return not self.password_opens or staff_id in self.password_opens

    def change_password(self, hashed: str, opens: Sequence[ObjectId]) -> Self:
        """Store a password that opens some memberships. Sessions stay.

        Raises:
            Conflict: the password or the epoch has changed since this account was read.
        """
        own = type(self).objects(id=self.id, epoch=self.epoch, password=self.password)
        values = {"set__password": hashed, "set__password_opens": list(opens)}
        changed: Self | None = own.modify(new=True, **values)
        if changed is None:
            raise Conflict(CHANGING)
        return changed

    def has_same_password(self) -> bool:
        """Return whether the password is the same as when this account was read."""
        return type(self).objects(id=self.id, password=self.password).first() is not None

    def renew(self, *, is_same_epoch: bool = False, **changes: Any) -> Self:
        """Make changes, and void all earlier sessions and links, in one write.

        Args:
            is_same_epoch: whether a change since this account was read prevents the write.

        Raises:
            Conflict: it did, or another process deleted the account.
        """
        own = {"id": self.id, "epoch": self.epoch} if is_same_epoch else {"id": self.id}
        renewed: Self | None = type(self).objects(**own).modify(new=True, inc__epoch=1, **changes)
        if renewed is None:
            raise Conflict(CHANGING)
        return renewed
