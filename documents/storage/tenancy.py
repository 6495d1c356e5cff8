"""Tenancy: the one place that limits a request to the records of its organization.

Within `act_for`, every query of documents that belong to organizations is narrowed to one, and
storing another's record fails. So a resource that forgets the organization still finds no foreign
records. Outside, in workers and on the command line, nothing is narrowed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet

_acting: ContextVar[ObjectId | None] = ContextVar("acting", default=None)


class ForeignRecord(Exception):
    """A record of another organization was about to be stored: a mistake of ours."""


@contextmanager
def act_for(organization_id: ObjectId) -> Iterator[None]:
    """Within, there are no other organizations."""
    token = _acting.set(organization_id)
    try:
        yield
    finally:
        _acting.reset(token)


def check_owner(organization_id: ObjectId) -> None:
    """Refuse to store what belongs to another organization than the one that acts.

    Raises:
        ForeignRecord: it does.
    """
    acting = _acting.get()
    if acting is not None and acting != organization_id:
        raise ForeignRecord


class OwnRecords(QuerySet):
    """Queries that see the acting organization's records alone."""

    @property
    def _query(self) -> dict[str, Any]:
        query: dict[str, Any] = super()._query
        acting = _acting.get()
        if acting is None or query.get("organization_id") == acting:
            return query
        return {"$and": [{"organization_id": acting}, query]}


# Merged into the `meta` of what belongs to an organization. With the key, what is stored again is
# looked for by organization and id; it is the one to shard by, too.
OWNED_META: dict[str, Any] = {"queryset_class": OwnRecords, "shard_key": ("organization_id",)}
