"""Staff: the memberships of people in organizations. Their IDs name the actors of the audit."""

from typing import Any, Self

from bson import ObjectId
from mongoengine import NotUniqueError, StringField

from documents.access.account import Account
from documents.access.grants import list_membership_rows
from documents.access.member import SECRET_KINDS, Member
from documents.access.password import matches_password
from documents.access.roles import STAFF_ROLES, StaffRole, includes_role
from documents.access.secret import Secret
from documents.errors import Conflict, NotFound, Unacceptable
from documents.values.address import MAX_ADDRESS_LENGTH, is_address, strip_address

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
        *,
        is_proved: bool = True,
    ) -> Self:
        """Add a member: a new person, or one who belongs to another organization already.

        Args:
            is_proved: whether the operator vouches for the person; see account.py.

        Raises:
            Unacceptable: the name, address or password is not valid.
            Conflict: the person is a member already, or has a password and another one is given.
        """
        staff = cls(
            organization_id=organization_id,
            name=_checked(name, MAX_STAFF_NAME_LENGTH, "/name"),
            email=_checked(strip_address(email), MAX_ADDRESS_LENGTH, "/email"),
            role=role,
        )
        if not is_address(staff.email):
            raise Unacceptable("/email", "email", "Must be a valid email address.")
        hashed = None if password is None else staff.hash_new_password(password)
        members = cls.list_with_account(email)
        if any(one.organization_id == organization_id for one in members):
            raise Conflict(ALREADY_MEMBER)
        if hashed and any(one.person.password and one.person.is_proved for one in members):
            raise Conflict(ALREADY_PROTECTED)
        staff._join(hashed, is_proved=is_proved, is_newcomer=not members)
        return staff

    def _join(self, hashed: str | None, *, is_proved: bool, is_newcomer: bool) -> None:
        account, is_new = Account.ensure(
            self.name, self.email, password=hashed, is_proved=is_proved
        )
        self.account_id = account.id
        self._insert_member()
        self._keep_account(account)
        if is_newcomer and not is_new:  # nothing stays of an earlier member with this address
            own = {"set__name": self.name, "set__email": self.email, "set__is_proved": is_proved}
            account = account.renew(set__password=hashed, **own)
        elif not is_new and (hashed or not account.is_proved):
            # Another organization's admin may know the password of an account that is not proved.
            proof = {"set__is_proved": True} if hashed else {}  # only the operator gives passwords
            account = account.renew(set__password=hashed, **proof)
        elif not is_new:
            account.note_addition()
        self.remember_account(account)

    def _keep_account(self, account: Account) -> None:
        try:
            account.keep()
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
    def authenticate(
        cls, email: str, password: str, organization_id: ObjectId | None = None
    ) -> Self | None:
        """Return the member with this address and password; None if they do not match.

        The check takes equally long for an unknown address.
        """
        found = cls.known(email, organization_id)
        # The same read found the epoch. So a change of the password voids the session.
        matches = matches_password(found.person.password if found else None, password)
        return found if matches else None

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

    @property
    def is_admin(self) -> bool:
        return self.can("admin")

    def can(self, role: StaffRole) -> bool:
        """Return whether the member may do what a role allows."""
        return includes_role(self.role, role)

    def remove(self) -> None:
        """Remove the member, end the sessions of the organization, and free the address.

        A person without any membership has no password.
        """
        account = self.person if self.account_id else None
        self.mark_deleted(address=None, password=None, account_id=None, subject=None)
        self.forget(account)

    def forget(self, account: Any) -> None:
        """End the sessions of a removed member. Delete the password with the last membership."""
        for kind in SECRET_KINDS:
            kind.end_of_member(self.id)
        if account is None:
            return
        if list_membership_rows(account.id):
            account.note_removal()
        else:
            account.renew(unset__password=True)


def _checked(text: Any, longest: int, pointer: str) -> str:
    cleaned: str = text.strip().encode("utf-8", "replace").decode()
    if not 1 <= len(cleaned) <= longest or not cleaned.isprintable():
        raise Unacceptable(pointer, "length", f"Must be 1 to {longest} printable characters.")
    return cleaned
