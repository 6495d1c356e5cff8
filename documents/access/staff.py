"""Staff: people of one organization who use the dashboard."""

from typing import Any, Literal, Self

from bson import ObjectId
from mongoengine import IntField, StringField

from documents.access.password import hash_password, matches_password
from documents.access.staff_session import SignInLink, StaffSession
from documents.errors import Conflict, NotFound, Unacceptable
from documents.organization import Organization
from documents.people.spellings import PeopleByAddress, list_address_keys
from documents.storage.marks import build_text_condition
from documents.storage.record import Record
from documents.values.address import MAX_ADDRESS_LENGTH, is_address, strip_address, to_canonical

StaffRole = Literal["viewer", "admin"]
STAFF_ROLES: tuple[StaffRole, ...] = ("viewer", "admin")
MAX_STAFF_NAME_LENGTH = 200


class Staff(Record):
    """A person who signs in to the dashboard with an email address.

    An address belongs to one person in the whole service, so the sign-in form does not ask for an
    organization.
    """

    name = StringField(required=True)
    email = StringField(required=True)
    address = StringField()  # canonical; deletion unsets it
    password = StringField()  # its hash; None if the person signs in only by link
    role = StringField(required=True, choices=STAFF_ROLES)
    # A password change or a sign-out everywhere increases it, which voids earlier sessions and
    # links. This includes a session that a request with the old password creates at that moment.
    epoch = IntField(default=0)

    meta = {
        "collection": "staff",
        "indexes": [
            {
                "fields": ["address"],
                "unique": True,
                "partialFilterExpression": {"address": {"$type": "string"}},
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
        """Add a staff member.

        Raises:
            Unacceptable: the name, address or password is not valid.
            Conflict: a staff member of some organization has this address.
        """
        staff = cls(
            organization_id=organization_id,
            name=_checked(name, MAX_STAFF_NAME_LENGTH, "/name"),
            email=_checked(strip_address(email), MAX_ADDRESS_LENGTH, "/email"),
            address=to_canonical(email),
            role=role,
        )
        if not is_address(staff.email):
            raise Unacceptable("/email", "email", "Must be a valid email address.")
        if password is not None:
            staff.password = hash_password(password, staff._known())
        added, is_new = staff.insert_unless(lambda: cls.known(email))
        if not is_new:
            raise Conflict(
                "A staff member with this email address already exists. Use another address."
            )
        return added

    @classmethod
    def known(cls, email: str) -> Self | None:
        """Return the staff member with this address, in any spelling; None if no one has it."""
        query = {"address": build_text_condition(in_=list_address_keys(email))}
        found = cls.objects(deleted_at=None, __raw__=query)
        return PeopleByAddress((one.address, one.email, one) for one in found).get(email)

    @classmethod
    def named(cls, email: str) -> Self:
        """Return the staff member with this address, in any spelling.

        Raises:
            NotFound: no staff member has this address.
        """
        found = cls.known(email)
        if found is None:
            raise NotFound
        return found

    @classmethod
    def authenticate(cls, email: str, password: str) -> Self | None:
        """Return the staff member with this address and password; None if they do not match.

        The check takes equally long for an unknown address.
        """
        found = cls.known(email)
        matches = matches_password(found.password if found else None, password)
        return found if matches else None

    def has_password(self, password: str) -> bool:
        """Return whether the password is correct."""
        return matches_password(self.password, password)

    @classmethod
    def signed_in(cls, session: StaffSession | SignInLink | None) -> Self | None:
        """Return the owner of a session or link; None if it is void."""
        if session is None:
            return None
        staff: Self | None = cls.objects(
            id=session.staff_id, epoch=session.epoch, deleted_at=None
        ).first()
        return staff

    @property
    def is_admin(self) -> bool:
        return bool(self.role == "admin")

    def set_password(self, password: str) -> Self:
        """Change the password, and end all sessions.

        Raises:
            Unacceptable: the password is too short, too long, or easy to guess.
        """
        hashed = hash_password(password, self._known())

        def edit(staff: Self) -> None:
            staff.password, staff.epoch = hashed, staff.epoch + 1

        return self.change(edit)._without_sessions()

    def _known(self) -> list[str]:
        """Return what an attacker knows, which a password must not consist of."""
        organization = Organization.objects(id=self.organization_id).first()
        return [self.email, self.name, *([organization.name] if organization else [])]

    def sign_out_everywhere(self) -> None:
        """End all sessions, and void all links."""

        def edit(staff: Self) -> None:
            staff.epoch += 1

        self.change(edit)._without_sessions()

    def _without_sessions(self) -> Self:
        for kind in (StaffSession, SignInLink):
            kind.objects(staff_id=self.id, epoch__lt=self.epoch).delete()
        return self

    def remove(self) -> None:
        """Remove the staff member, end their sessions, and free the address."""
        self.mark_deleted(address=None, password=None)
        for kind in (StaffSession, SignInLink):
            kind.objects(staff_id=self.id).delete()


def _checked(text: Any, longest: int, pointer: str) -> str:
    cleaned: str = text.strip().encode("utf-8", "replace").decode()
    if not 1 <= len(cleaned) <= longest or not cleaned.isprintable():
        raise Unacceptable(pointer, "length", f"Must be 1 to {longest} printable characters.")
    return cleaned
