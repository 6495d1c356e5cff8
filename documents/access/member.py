"""The password and epoch with which a person signs in, which the account holds."""

from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ObjectIdField, StringField, get_db

from documents.access.account import Account
from documents.access.former_staff import FORMER_STAFF_FILTER, give_account
from documents.access.grants import list_membership_rows
from documents.access.nobody import read_nobodys_account, read_nobodys_membership
from documents.access.password import hash_password, matches_password
from documents.access.reset_link import PasswordResetLink
from documents.access.secret import Secret
from documents.access.staff_session import SignInLink, StaffSession
from documents.errors import Conflict
from documents.organization import Organization
from documents.people.spellings import PeopleByAddress, list_address_keys
from documents.storage.marks import build_text_condition
from documents.storage.record import Record
from documents.values.time import now
from matchback.engine import Tx

NOT_PROVED = "The person belongs to other organizations. Use a sign-in link of the operator."
SECRET_KINDS: tuple[type[Secret], ...] = (StaffSession, SignInLink, PasswordResetLink)


class Member(Record):
    """A membership, with the person behind it.

    Name and email are as the organization knows them. A member of the earlier layout has no
    account, and holds what an account holds; see former_staff.py.
    """

    name = StringField(required=True)
    email = StringField(required=True)
    account_id = ObjectIdField()  # deletion unsets it
    epoch = IntField(default=0)  # ending the member's sessions increases it, which voids them
    last_sign_in_at = DateTimeField()
    # Only in the earlier layout:
    address = StringField()  # canonical
    password = StringField()  # its hash
    is_proved: bool = True  # the operator added all of them

    _account: Account | None = None

    meta: ClassVar[dict[str, Any]] = {"abstract": True}

    @classmethod
    def list_known(cls, email: str) -> list[Self]:
        """Return the memberships of the person with this address, last sign-in first."""
        account, former = Account.known(email), cls._find_former(email)
        if former is not None and account is not None:
            give_account(Tx(get_db()), former.to_mongo().to_dict())
        # Each address takes as many queries and as much work, so that the time does not show which
        # exist.
        members = cls.list_of_account(account.id if account else ObjectId())
        if account is None and former is None:
            read_nobodys_account(email)
        if not members and former is None:
            read_nobodys_membership(cls)
        if former is not None and account is None:
            return [former]
        for one in members:
            one.remember_account(account)
        return sorted(members, key=_rank_by_sign_in, reverse=True)

    @classmethod
    def list_of_account(cls, account_id: ObjectId) -> list[Self]:
        """Return the memberships of a person in all organizations, past the tenancy."""
        return [cls._from_son(row) for row in list_membership_rows(account_id)]

    @classmethod
    def _find_former(cls, email: str) -> Self | None:
        condition = build_text_condition(in_=list_address_keys(email))
        found = cls.objects(__raw__={**FORMER_STAFF_FILTER, "address": condition})
        return PeopleByAddress((one.address, one.email, one) for one in found).get(email)

    @classmethod
    def list_with_account(cls, email: str) -> list[Self]:
        """Return the memberships of the person with this address, of the current layout."""
        members = cls.list_known(email)
        if members and members[0].account_id is None:
            give_account(Tx(get_db()), members[0].to_mongo().to_dict())
            return cls.list_known(email)
        return members

    @property
    def person(self) -> "Account | Self":
        """The account; for a member of the earlier layout, the member itself."""
        if self.account_id is None:
            return self
        if self._account is None:
            self.remember_account(Account.objects.get(id=self.account_id))
        assert self._account
        return self._account

    def remember_account(self, account: Account | None) -> None:
        """Keep the account, so that `person` does not read it again."""
        self._account = account

    def prove(self) -> None:
        """Note that a link that only the operator or the mailbox can pass on reached the person."""
        if self.account_id is not None and not self.person.is_proved:
            Account.objects(id=self.account_id).update_one(set__is_proved=True)

    def has_other_memberships(self) -> bool:
        """Return whether the person belongs to other organizations."""
        rows = list_membership_rows(self.account_id) if self.account_id else []
        return any(row["_id"] != self.id for row in rows)

    def note_sign_in(self) -> None:
        """Record that the person signed in to this organization, or switched to it."""
        type(self).objects(id=self.id).update_one(set__last_sign_in_at=now())

    def has_password(self, password: str) -> bool:
        """Return whether the password is correct."""
        return matches_password(self.person.password, password)

    def set_password(self, password: str, *, is_proved: bool = True) -> Self:
        """Change the person's password, and end all sessions in all organizations.

        Args:
            is_proved: whether the browser has proved who the person is to all organizations. An
                invitation or a sign-on provider of one organization does not.

        Raises:
            Unacceptable: the password is too short, too long, or easy to guess.
            Conflict: the person belongs to other organizations, and `is_proved` is false.
            NotFound: another process removed the member meanwhile.
        """
        return self.store_password(self.hash_new_password(password), is_proved=is_proved)

    def store_password(self, hashed: str, *, is_proved: bool = True) -> Self:
        """Change the person's password to one that is hashed already; see `set_password`."""
        if not is_proved and self.has_other_memberships():
            raise Conflict(NOT_PROVED)
        renewed = self._renew(set__password=hashed)
        # Another organization may have added the person since the check.
        if not is_proved and renewed.has_other_memberships():
            renewed._renew(unset__password=True)
            raise Conflict(NOT_PROVED)
        return renewed

    def hash_new_password(self, password: str) -> str:
        """Return the hash to store for a new password.

        Raises:
            Unacceptable: the password is too short, too long, or easy to guess.
        """
        organization = Organization.objects(id=self.organization_id).first()
        known = [self.email, self.name, *([organization.name] if organization else [])]
        return hash_password(password, known)

    def sign_out_everywhere(self) -> None:
        """End all sessions of the person, and void all links."""
        self._renew()

    def _renew(self, **changes: Any) -> Self:
        former = type(self).objects(id=self.id, account_id=None, deleted_at=None)
        renewed: Self | None = former.modify(new=True, inc__epoch=1, inc__version=1, **changes)
        if renewed is None:
            renewed = type(self).fetch(self.organization_id, self.id)
            renewed.remember_account(renewed.person.renew(**changes))
        for kind in SECRET_KINDS:
            kind.end_of_person(renewed.person.id, renewed.person.epoch)
        return renewed


def _rank_by_sign_in(member: Member) -> float:
    return member.last_sign_in_at.timestamp() if member.last_sign_in_at else 0.0
