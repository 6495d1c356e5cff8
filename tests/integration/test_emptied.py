"""The database that tests share has no records and all indexes, whatever the previous test did."""

from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db
from pymongo.collection import Collection

from config import database
from documents.migrations.document_classes import DOCUMENT_CLASSES
from documents.user import User
from tools.testbed.stack import Servers

COLLECTIONS = sorted({document._get_collection_name() for document in DOCUMENT_CLASSES})


def restart_test(real_servers: Servers) -> None:
    """Do what the fixture does before the next test."""
    real_servers.clear_database()
    real_servers.restore_indexes()


def test_records_of_every_collection_are_deleted(real_database: str, real_servers: Servers) -> None:
    kept = {name: get_db()[name].index_information() for name in get_db().list_collection_names()}
    assert len(kept) > 20
    for name in [*COLLECTIONS, "of_another_program"]:
        get_db()[name].insert_one({"external_id": ObjectId(), "token": ObjectId()})
    restart_test(real_servers)
    names = get_db().list_collection_names()
    assert {*COLLECTIONS, "of_another_program"} <= set(names)
    assert [name for name in names if get_db()[name].find_one()] == []
    assert {name: get_db()[name].index_information() for name in kept} == kept


def test_an_open_transaction_is_ended(real_database: str, real_servers: Servers) -> None:
    with database.get_client().start_session() as session:
        session.start_transaction()
        get_db().users.insert_one({"name": "Bob"}, session=session)
        restart_test(real_servers)
        assert User.objects.count() == 0
        get_db().users.insert_one({"name": "Eve"})


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users.drop_indexes(),
        lambda users: users.drop(),
        lambda users: users.rename("former_users", dropTarget=True),
    ],
    ids=["indexes dropped", "collection dropped", "collection renamed"],
)
def test_dropped_indexes_are_created_again(
    real_database: str,
    real_servers: Servers,
    change: Callable[[Collection[dict[str, Any]]], object],
) -> None:
    kept = get_db().users.index_information()
    assert len(kept) > 1
    change(get_db().users)
    restart_test(real_servers)
    assert get_db().users.index_information() == kept
    get_db().former_users.drop()
