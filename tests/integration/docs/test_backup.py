"""docs/how-to/backup.md is correct: a restored copy has every record and correct counters.

Neither PyPI nor Debian has mongodump and mongorestore. They write and read the BSON of each
collection as of one moment, which the driver does here instead.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import bson
import mongoengine
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from falcon import testing
from mongoengine import get_db

from config import database
from config.database import DatabaseClient
from config.settings import get_settings
from documents.recount import recount
from jobs.sweep import sweep_due_records
from service.middleware import api_key
from tools.docs.blocks import read_blocks
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.output import read_output
from tools.testbed.settled import settle_all

PAGE = "how-to/backup.md"
AT = 1_700_000_000
RAW = CodecOptions(RawBSONDocument)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def restored(real_database: str) -> Iterator[str]:
    """Return the URI of a new database on the same server."""
    uri = real_database.replace("/tests?", "/restored?")
    assert uri != real_database
    yield uri
    with DatabaseClient(uri) as mongo:
        mongo.drop_database("restored")


def dump(uri: str, folder: Path) -> None:
    """Return each collection as BSON, all as of one moment."""
    with DatabaseClient(uri) as mongo, mongo.start_session(snapshot=True) as session:
        source = mongo.get_default_database()
        for name in source.list_collection_names(filter={"type": "collection"}):
            batches = cast("Iterable[bytes]", source[name].find_raw_batches(session=session))
            (folder / f"{name}.bson").write_bytes(b"".join(batches))


def restore(uri: str, folder: Path) -> None:
    with DatabaseClient(uri) as mongo:
        for path in folder.glob("*.bson"):
            if rows := bson.decode_all(path.read_bytes(), RAW):
                mongo.get_default_database()[path.stem].insert_many(rows)


def follow(uri: str, folder: Path) -> str:
    """Return the output of the page's commands on the restored database."""
    steps = [block.text for block in read_blocks(PAGE) if not block.marks]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MATCHBACK_MONGODB_URI": uri,
        "MATCHBACK_REDIS_URL": get_settings().redis_url,
    }
    command = ["bash", "-c", "\n".join(["set -euo pipefail", *steps])]
    return read_output(command, folder, environment)


def use(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect this process to another database."""
    monkeypatch.setenv("MATCHBACK_MONGODB_URI", uri)
    get_settings.cache_clear()
    mongoengine.disconnect_all()
    api_key.forget_api_keys()
    database.connect_database()


def told(alice: University, spring: str) -> Any:
    """Return everything that a client sees, except modification times."""
    report = alice.get(f"/v1/fundraisers/{spring}/report")
    lists = [
        alice.get(f"/v1/{noun}?sort=created_at")["data"]
        for noun in ("emails", "donations", "users")
    ]
    for record in (one for records in lists for one in records):
        del record["updated_at"]
    return {name: value for name, value in report.items() if name != "as_of"}, lists


def test_a_restored_copy_is_complete_and_continues(
    alice: University,
    real_database: str,
    restored: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the moment of the backup, one gift and one post are counted, and one of each is due."""
    alice.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.gift(spring, 2500, email_id=email)
    alice.deliver([make_event(email, "open", AT)])
    settle_all()
    alice.gift(spring, 1000, BOB)
    alice.deliver([make_event(email, "click", AT + 60)])
    dump(real_database, tmp_path)
    settle_all()
    expected = told(alice, spring)

    restore(restored, tmp_path)
    output = follow(restored, tmp_path)
    assert output.count("Incorrect counters: 0\n") == 1
    assert output.count("Repaired counters: 0\n") == 1
    assert "Deliveries to process again: 2" in output

    use(restored, monkeypatch)
    while sweep_due_records():
        pass
    assert told(alice, spring) == expected
    assert list(recount.find_drifts()) == []
    assert expected[0]["donations"]["raised"] == {"USD": 3500}
    assert (expected[0]["emails"]["opens"], expected[0]["emails"]["clicks"]) == (1, 1)
    assert "due" in {
        key for index in get_db().donations.index_information().values() for key, _ in index["key"]
    }


def test_a_recount_repairs_a_backup_from_several_moments(
    alice: University,
    real_database: str,
    restored: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gift arrives between the dump of the fundraisers and the dump of the gifts."""
    spring = alice.fundraiser()
    alice.gift(spring, 2500)
    settle_all()
    dump(real_database, tmp_path)
    alice.gift(spring, 1000)
    settle_all()
    (tmp_path / "later").mkdir()
    dump(real_database, tmp_path / "later")
    (tmp_path / "later" / "donations.bson").replace(tmp_path / "donations.bson")

    restore(restored, tmp_path)
    use(restored, monkeypatch)
    off = list(recount.find_drifts())
    assert ("fundraisers", "raised.USD") in {(drift.collection, drift.field) for drift in off}
    while off:
        for drift in off:
            recount.repair_counter(drift)
        off = list(recount.find_drifts())
    assert alice.report(spring)["donations"]["raised"] == {"USD": 3500}
