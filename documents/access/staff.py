"""Staff: the memberships of people in organizations. Their IDs name the actors of the audit."""

from typing import Any, Self

from bson import ObjectId
from mongoengine import NotUniqueError, StringField

from documents.access.account import Account
from documents.access.member import Member
from documents.access.password import matches_password
from documents.access.roles import STAFF_ROLES, StaffRole, includes_role
from documents.access.secret import Secret
from documents.errors import Conflict, NotFound, Unacceptable
from documents.values.address import MAX_ADDRESS_LENGTH, has_one_reading, strip_address

MAX_STAFF_NAME_LENGTH = 200
SEVERAL_ORGANIZATIONS = "This person belongs to several organizations. Choose one of them."
ALREADY_MEMBER = "A staff member with this email address already exists. Use another address."
ALREADY_PROTECTED = "This person has a password already. Add them without a password."


class Staff(Member):
    """A person's membership in one organization, with a role.

    The person is an account, which signs in to all organizations.
    """

    role = StringField(required=True, choices=STAFF_ROLES)
    subject = StringField()  # the person's ID at the organization's sign-on provider
    subject_client_id = StringField()  # the client ID to which the provider gave that ID

    meta = {
        "collection": "staff",
        "indexes": [
            {
                "fields": ["address"],
                "unique": True,
                "partialFilterExpression": {"address": {"$type": "string"}},
            },
            {
                "fields": ["organization_id", "account_id"],
                "unique": True,
                "partialFilterExpression": {"account_id": {"$type": "objectId"}},
            },
            "account_id",
            {
                "fields": ["organization_id", "subject"],
                "unique": True,
                "partialFilterExpression": {"subject": {"$type": "string"}},
            },
            ["organization_id", "id"],
        ],
    }

    @classmethod
    def add(
        cls,
        organization_id: ObjectId,
        name: str,
        email: str,
        role: str,
        password: str | None = None,
    ) -> Self:
        """Add a member: a new person, or one who belongs to another organization already.

        Only the operator gives a password.

        Raises:
            Unacceptable: the name, address or password is not valid.
            Conflict: the person is a member already, or has a password and another one is given.
        """
        staff = cls(
            organization_id=organization_id,
            name=_checked(name, MAX_STAFF_NAME_LENGTH, "/name"),
            email=_checked(strip_address(email), MAX_ADDRESS_LENGTH, "/email"),
            role=role,
            was_given_password=True if password is not None else None,
        )
        if not has_one_reading(staff.email):
            raise Unacceptable("/email", "email", "Must be a valid email address.")
        hashed = None if password is None else staff.hash_new_password(password)
        members = cls.list_with_account(email)
        if any(one.organization_id == organization_id for one in members):
            raise Conflict(ALREADY_MEMBER)
        if hashed and any(one.person.password and not one.person.password_opens for one in members):
            raise Conflict(ALREADY_PROTECTED)
        staff._join(hashed, is_newcomer=not members)
        return staff

    def _join(self, hashed: str | None, *, is_newcomer: bool) -> None:
        account, is_new = Account.ensure(self.name, self.email, password=hashed)
        self.account_id = account.id
        self._insert_member()
        password: dict[str, Any] = {"password": hashed, "password_opens": []}
        if is_newcomer and not is_new:  # a process died before it stored the first membership
            account = self._admit(account, name=self.name, **password)
        elif hashed and not is_new:
            account = self._admit(account, **password)
        elif not is_new:
            account = self._admit(account)
        self.remember_account(account)

    def _admit(self, account: Account, **values: Any) -> Account:
        try:
            return account.admit(**values)
        except Conflict:
            type(self).objects(id=self.id).delete()
            raise

    def _insert_member(self) -> None:
        try:
            self.save(force_insert=True)
        except NotUniqueError:
            raise Conflict(ALREADY_MEMBER) from None

    @classmethod
    def known(cls, email: str, organization_id: ObjectId | None = None) -> Self | None:
        """Return the member with this address, in any spelling; None if no one has it.

        Of several memberships, return that of the organization, or the one that signed in last.
        """
        members = cls.list_known(email)
        own = [one for one in members if one.organization_id == organization_id]
        return next(iter(own or members), None)

    @classmethod
    def named(cls, email: str, organization_id: ObjectId | None = None) -> Self:
        """Return the member with this address, in any spelling.

        Raises:
            NotFound: no member has this address.
            Conflict: the person belongs to several organizations, and none is given.
        """
        members = cls.list_known(email)
        own = [one for one in members if organization_id in (None, one.organization_id)]
        if not own:
            raise NotFound
        if len(own) > 1:
            raise Conflict(SEVERAL_ORGANIZATIONS)
        return own[0]

    @classmethod
    def list_authenticated(
        cls, email: str, password: str, organization_id: ObjectId | None = None
    ) -> list[Self]:
        """Return the members with this address whom the password opens.

        The member of the organization is the first. The check takes equally long for an unknown
        address.
        """
        found = cls.known(email, organization_id)
        # The same read found the epoch. So a change of the password voids the session.
        person = found.person if found else None
        if not matches_password(person.password if person else None, password):
            return []
        # A limited password changes without the account's epoch. So it must still be the same after
        # the read of the memberships, whose epochs a change increases.
        if isinstance(person, Account) and person.password_opens and not person.has_same_password():
            return []
        return found._list_opened_by_password() if found else []

    def _list_opened_by_password(self) -> list[Self]:
        """Return the memberships of the person that the password opens, this one first."""
        others = self.list_of_account(self.account_id) if self.account_id else []
        for one in others:
            one.remember_account(self._account)  # with the epoch that the check has read
        members = [self, *(one for one in others if one.id != self.id)]
        return [one for one in members if self.person.opens(one.id)]

    @classmethod
    def signed_in(cls, secret: Secret | None) -> Self | None:
        """Return the member of a session or link; None if it is void."""
        if secret is None:
            return None
        current = {"epoch": secret.epoch, "deleted_at": None}
        staff: Self | None = cls.objects(id=secret.staff_id, **current).first()
        if staff is None or staff.account_id is None:
            return staff
        account = Account.objects(id=staff.account_id, epoch=secret.person_epoch).first()
        if account is None:
            return None
        staff.remember_account(account)
        return staff

    def give_password(self, password: str) -> Self:
        """Change the person's password as the operator; see `set_password` for the errors.

        From then on, an admin gets no link with which to act as this member.
        """
        changed = self.set_password(password)
        type(self).objects(id=changed.id, deleted_at=None).update_one(set__was_given_password=True)
        return changed

    @property
    def is_admin(self) -> bool:
        return self.can("admin")

    def can(self, role: StaffRole) -> bool:
        """Return whether the member may do what a role allows."""
        return includes_role(self.role, role)


def _checked(text: Any, longest: int, pointer: str) -> str:
    cleaned: str = text.strip().encode("utf-8", "replace").decode()
    if not 1 <= len(cleaned) <= longest or not cleaned.isprintable():
        raise Unacceptable(pointer, "length", f"Must be 1 to {longest} printable characters.")
    return cleaned
