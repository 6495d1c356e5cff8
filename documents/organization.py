"""A customer of the platform. Every other record belongs to exactly one."""

from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, Document, StringField

from documents.clock import now
from documents.errors import NotFound, Unacceptable

LONGEST_NAME = 200


class Organization(Document):
    """A tenant."""

    name = StringField(required=True)
    created_at = DateTimeField(default=now)

    @classmethod
    def create(cls, name: str) -> Self:
        """Add one.

        Raises:
            Unacceptable: the name is blank or longer than 200 characters.
        """
        name = name.strip()
        if not 1 <= len(name) <= LONGEST_NAME:
            raise Unacceptable("/name", "length", "A name is 1 to 200 characters.")
        return cls(name=name).save(force_insert=True)

    @classmethod
    def named(cls, id_: str) -> Self:
        """The organization with this id.

        Raises:
            NotFound: there is none.
        """
        found = cls.objects(id=id_).first() if ObjectId.is_valid(id_) else None
        if found is None:
            raise NotFound
        return found

    meta = {"collection": "organizations", "auto_create_index": False}
