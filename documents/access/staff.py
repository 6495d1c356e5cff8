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
    """Somebody who signs in with an address, which is one person's in the whole service: the form
    asks for no organization."""

    name = StringField(required=True)
    email = StringField(required=True)
    address = StringField()  # canonical; unset by deletion
    password = StringField()  # its hash; None: by link alone
    role = StringField(required=True, choices=STAFF_ROLES)
    # Counts up with each «everybody out»: sessions and links of before are void, even one that
    # is being made at that moment by somebody whose password was right until then.
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
        """Let somebody sign in.

        Raises:
            Unacceptable: a name, address or password that is none.
            Conflict: the address has signed in for some organization already.
        """
        staff = cls(
            organization_id=organization_id,
            name=_checked(name, MAX_STAFF_NAME_LENGTH, "/name"),
            email=_checked(strip_address(email), MAX_ADDRESS_LENGTH, "/email"),
            address=to_canonical(email),
            role=role,
        )
        if not is_address(staff.email):
            raise Unacceptable("/email", "email", "Should be an email address.")
        if password is not None:
            staff.password = hash_password(password, staff._known())
        added, is_new = staff.insert_unless(lambda: cls.known(email))
        if not is_new:
            raise Conflict("Somebody with this email signs in already.")
        return added

    @classmethod
    def known(cls, email: str) -> Self | None:
        """Return who signs in with this address, in whatever spelling."""
        query = {"address": build_text_condition(in_=list_address_keys(email))}
        found = cls.objects(deleted_at=None, __raw__=query)
        return PeopleByAddress((one.address, one.email, one) for one in found).get(email)

    @classmethod
    def named(cls, email: str) -> Self:
        """The same.

        Raises:
            NotFound: nobody does.
        """
        found = cls.known(email)
        if found is None:
            raise NotFound
        return found

    @classmethod
    def authenticate(cls, email: str, password: str) -> Self | None:
        """Whoever has this address and password. Takes as long for an address that nobody has."""
        found = cls.known(email)
        matches = matches_password(found.password if found else None, password)
        return found if matches else None

    def has_password(self, password: str) -> bool:
        """Whether it is theirs."""
        return matches_password(self.password, password)

    @classmethod
    def signed_in(cls, session: StaffSession | SignInLink | None) -> Self | None:
        """Whose session or link it is, unless it is void."""
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
        """Change the password, and end every session.

        Raises:
            Unacceptable: the password is too short, too long, or easy to guess.
        """
        hashed = hash_password(password, self._known())

        def edit(staff: Self) -> None:
            staff.password, staff.epoch = hashed, staff.epoch + 1

        return self.change(edit)._without_sessions()

    def _known(self) -> list[str]:
        """Return what an attacker knows, which no password may consist of."""
        organization = Organization.objects(id=self.organization_id).first()
        return [self.email, self.name, *([organization.name] if organization else [])]

    def sign_out_everywhere(self) -> None:
        """End every session, and void every link."""

        def edit(staff: Self) -> None:
            staff.epoch += 1

        self.change(edit)._without_sessions()

    def _without_sessions(self) -> Self:
        for kind in (StaffSession, SignInLink):
            kind.objects(staff_id=self.id, epoch__lt=self.epoch).delete()
        return self

    def remove(self) -> None:
        """Let them in no more. The address is free again."""
        self.mark_deleted(address=None, password=None)
        for kind in (StaffSession, SignInLink):
            kind.objects(staff_id=self.id).delete()


def _checked(text: Any, longest: int, pointer: str) -> str:
    cleaned: str = text.strip().encode("utf-8", "replace").decode()
    if not 1 <= len(cleaned) <= longest or not cleaned.isprintable():
        raise Unacceptable(pointer, "length", f"Should be 1 to {longest} printable characters.")
    return cleaned
