"""The password and epoch with which a person signs in, which the account holds."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, IntField, ObjectIdField, StringField, get_db

from documents.access.account import Account
from documents.access.former_staff import FORMER_STAFF_FILTER, give_own_account
from documents.access.grants import list_membership_rows
from documents.access.nobody import read_nobodys_account, read_nobodys_membership
from documents.access.password import hash_password, matches_password
from documents.access.reset_link import PasswordResetLink
from documents.access.secret import Secret
from documents.access.staff_session import SignInLink, StaffSession
from documents.errors import Conflict, NotFound
from documents.organization import Organization
from documents.people.spellings import PeopleByAddress, list_address_keys
from documents.storage.marks import build_text_condition
from documents.storage.record import Record
from documents.storage.transaction import in_transaction
from documents.values.time import now

# These end with one membership. A reset link stays, because the person's other memberships can use
# it; see PasswordResetLink.is_usable_by. Otherwise, an admin of one organization could void it.
MEMBER_SECRET_KINDS: tuple[type[Secret], ...] = (StaffSession, SignInLink)
SECRET_KINDS: tuple[type[Secret], ...] = (*MEMBER_SECRET_KINDS, PasswordResetLink)


class PasswordOpensOthers(Conflict):
    """The present password opens memberships to which a browser has not proved the person."""


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
    # True if the operator added this member with a password, or the earlier layout had one. Such a
    # member may have signed in before this version recorded the time.
    was_given_password = BooleanField()
    # Only in the earlier layout:
    address = StringField()  # canonical
    password = StringField()  # its hash
    password_opens: Sequence[ObjectId] = ()

    _account: Account | None = None

    meta: ClassVar[dict[str, Any]] = {"abstract": True}

    @classmethod
    def list_known(cls, email: str) -> list[Self]:
        """Return the memberships of the person with this address, last sign-in first."""
        account, former = Account.known(email), cls._find_former(email)
        if former is not None and account is not None:
            in_transaction(give_own_account, former.id)
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
            in_transaction(give_own_account, members[0].id)
            return cls.list_known(email)
        return members

    @property
    def person(self) -> "Account | Self":
        """The account; for a member of the earlier layout, the member itself.

        Raises:
            NotFound: another process removed the member meanwhile.
        """
        if self.account_id is None:
            return self
        if self._account is None:
            self._account = Account.objects(id=self.account_id).first()
        if self._account is None:
            raise NotFound
        return self._account

    def remember_account(self, account: Account | None) -> None:
        """Keep the account, so that `person` does not read it again."""
        self._account = account

    def has_other_memberships(self) -> bool:
        """Return whether the person belongs to other organizations."""
        rows = list_membership_rows(self.account_id) if self.account_id else []
        return any(row["_id"] != self.id for row in rows)

    @property
    def has_arrived(self) -> bool:
        """True if the person may have signed in to this organization.

        Facts of this membership decide. Otherwise, an admin would see when the person joins or
        leaves another organization.
        """
        return has_arrived(self.to_mongo())

    def note_sign_in(self) -> None:
        """Record that the person signed in to this organization, or switched to it."""
        type(self).objects(id=self.id).update_one(set__last_sign_in_at=now())

    def opens(self, staff_id: ObjectId) -> bool:
        """Return whether the password of the earlier layout opens a membership."""
        return bool(staff_id == self.id)

    @property
    def is_opened_by_password(self) -> bool:
        """True if the person has a password that opens this membership."""
        person = self.person
        return person.password is not None and bool(person.opens(self.id))

    def has_password(self, password: str) -> bool:
        """Return whether the password is correct."""
        return matches_password(self.person.password, password)

    def set_password(
        self, password: str, *, opens: Sequence[ObjectId] = (), kept_session: str | None = None
    ) -> Self:
        """Change the person's password, and end all sessions that it opens.

        Args:
            opens: memberships that the password opens; empty for all, also later ones. An
                invitation, and the sign-on provider of one organization, prove the person to that
                organization only.
            kept_session: ID of a session whose record stays until its browser has a new one. It is
                void nevertheless.

        Raises:
            Unacceptable: the password is too short, too long, or easy to guess.
            PasswordOpensOthers: the present password opens other memberships.
            Conflict: another request has changed the password or ended the sessions.
            NotFound: another process removed the member meanwhile.
        """
        hashed = self.hash_new_password(password)
        return self.store_password(hashed, opens=opens, kept_session=kept_session)

    def store_password(
        self, hashed: str, *, opens: Sequence[ObjectId] = (), kept_session: str | None = None
    ) -> Self:
        """Change the person's password to one that is hashed already; see `set_password`."""
        member = self._join_account()
        person = member.person
        assert isinstance(person, Account)
        if not opens:
            changes = {"set__password": hashed, "set__password_opens": []}
            return member._renew(is_same_epoch=True, kept_session=kept_session, **changes)
        if person.password and set(member._list_opened()) - set(opens):
            raise PasswordOpensOthers("The present password opens other organizations.")
        return member._limit_password(person, hashed, opens, kept_session)

    def _limit_password(
        self, person: Account, hashed: str, opens: Sequence[ObjectId], kept_session: str | None
    ) -> Self:
        """Store a password that opens some memberships, and end their sessions only.

        Otherwise, an admin could sign a person out of other organizations by an invitation.
        """
        account = person.change_password(hashed, opens)
        # Past the tenancy, because the person's other organizations are not that of the request.
        get_db().staff.update_many({"_id": {"$in": list(opens)}}, {"$inc": {"epoch": 1}})
        for kind in MEMBER_SECRET_KINDS:
            for staff_id in opens:
                kind.end_of_member(staff_id, kept=kept_session)
        renewed = type(self).fetch(self.organization_id, self.id)
        renewed.remember_account(account)
        return renewed

    def _list_opened(self) -> list[ObjectId]:
        rows = list_membership_rows(self.account_id) if self.account_id else []
        return [row["_id"] for row in rows if self.person.opens(row["_id"])]

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
        self._join_account()._renew()

    def _join_account(self) -> Self:
        """Return this member in the current layout."""
        if self.account_id is not None:
            return self
        in_transaction(give_own_account, self.id)
        return type(self).fetch(self.organization_id, self.id)

    def _renew(
        self, *, is_same_epoch: bool = False, kept_session: str | None = None, **changes: Any
    ) -> Self:
        person = self.person
        assert isinstance(person, Account)
        renewed = type(self).fetch(self.organization_id, self.id)
        renewed.remember_account(person.renew(is_same_epoch=is_same_epoch, **changes))
        for kind in SECRET_KINDS:
            kind.end_of_person(renewed.person.id, renewed.person.epoch, kept=kept_session)
        return renewed


def has_arrived(row: Mapping[str, Any]) -> bool:
    """Return whether the person of a member's row may have signed in to the organization."""
    # The row of the earlier layout holds the password itself.
    return any(row.get(one) for one in ("last_sign_in_at", "was_given_password", "password"))


def _rank_by_sign_in(member: Member) -> float:
    return member.last_sign_in_at.timestamp() if member.last_sign_in_at else 0.0
