"""A lease: one process at a time does a thing, and another takes over should it die."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from mongoengine import DateTimeField, NotUniqueError, StringField

from documents.clock import now
from documents.stored import Document


class Lease(Document):
    """Who holds what, and until when unless it is renewed."""

    name = StringField(primary_key=True)
    holder = StringField(required=True)
    until = DateTimeField(required=True)

    meta = {"collection": "leases", "auto_create_index": False}

    @classmethod
    def take(cls, name: str, duration: timedelta) -> bool:
        """Take or renew it. False when somebody else holds it."""
        at, holder = now(), _holder()
        free = {"__raw__": {"$or": [{"until": {"$lte": at}}, {"holder": holder}]}}
        try:
            if cls.objects(name=name, **free).update_one(
                set__holder=holder, set__until=at + duration
            ):
                return True
            cls(name=name, holder=holder, until=at + duration).save(force_insert=True)
        except NotUniqueError:
            return False
        return True

    @classmethod
    def give_back(cls, name: str) -> None:
        """Let the next one have it at once."""
        cls.objects(name=name, holder=_holder()).delete()


@contextmanager
def held(name: str, duration: timedelta) -> Iterator[bool]:
    """Hold a lease within, if it can be had; yields whether it could."""
    mine = Lease.take(name, duration)
    try:
        yield mine
    finally:
        if mine:
            Lease.give_back(name)


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
