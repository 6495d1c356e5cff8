"""Tenancy: the one place that limits a request to the records of its organization.

Within `act_for`, every query returns records of one organization only, and storing another's record
fails. So a resource that forgets the organization still finds no foreign records. Workers and the
command line do not use it, so they see all records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet

_acting: ContextVar[ObjectId | None] = ContextVar("acting", default=None)


class ForeignRecord(Exception):
    """The code tried to store a record of another organization, which is a bug."""


@contextmanager
def act_for(organization_id: ObjectId) -> Iterator[None]:
    """Limit queries and writes in this context to one organization."""
    token = _acting.set(organization_id)
    try:
        yield
    finally:
        _acting.reset(token)


def check_owner(organization_id: ObjectId) -> None:
    """Check that the acting organization owns the record.

    Raises:
        ForeignRecord: another organization owns the record.
    """
    acting = _acting.get()
    if acting is not None and acting != organization_id:
        raise ForeignRecord


class OwnRecords(QuerySet):
    """Queries that return only the acting organization's records."""

    @property
    def _query(self) -> dict[str, Any]:
        query: dict[str, Any] = super()._query
        acting = _acting.get()
        if acting is None or query.get("organization_id") == acting:
            return query
        return {"$and": [{"organization_id": acting}, query]}


# `meta` of documents that belong to an organization. With the shard key, MongoEngine saves a record
# by organization and ID. Sharding by organization can use the same key.
OWNED_META: dict[str, Any] = {"queryset_class": OwnRecords, "shard_key": ("organization_id",)}
