"""Processes of an earlier version can read what a later version stored."""

import pkgutil
from importlib import import_module
from typing import Any

import mongoengine
import pytest

import documents
from documents.access.staff_session import StaffSession
from documents.storage.base import Document, EmbeddedDocument


def list_kinds(of: Any) -> list[Any]:
    """Return the kinds of documents in Matchback, without the abstract ones."""
    for module in pkgutil.walk_packages(documents.__path__, "documents."):
        import_module(module.name)
    kinds = [one for kind in of.__subclasses__() for one in (kind, *list_kinds(kind))]
    own = [one for one in kinds if one.__module__.startswith("documents.")]
    return [one for one in own if not one._meta.get("abstract")]


@pytest.mark.parametrize("base", [mongoengine.Document, mongoengine.EmbeddedDocument])
def test_every_kind_reads_unknown_fields(base: Any) -> None:
    kinds = list_kinds(base)
    assert kinds
    for kind in kinds:
        assert issubclass(kind, Document | EmbeddedDocument), kind
        assert kind._from_son({"of_a_later_version": 1}), kind


def test_a_session_of_a_later_version_is_read() -> None:
    proof = {"identity": "alice", "of_a_later_version": 2}
    grant = {"way": "single sign-on", "of_a_later_version": 1, "proof": proof}
    session = StaffSession._from_son({"_id": "1", "grants": [grant]})
    assert session.grants[0].way == "single sign-on"
    assert session.grants[0].proof.identity == "alice"
