"""docs/how-to/backup.md is true: of a restored copy every record is there, and every counter right.

mongodump and mongorestore are no packages of PyPI's or Debian's. What they write and read is BSON
of each collection, at one moment; that is done here by the driver.
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
from config.database import Client
from config.settings import settings
from documents.recount import recount
from jobs.sweep import sweep
from service.middleware import api_key
from tools.docs.blocks import blocks
from tools.testbed.cast import BOB, Api, University, event, university
from tools.testbed.output import output
from tools.testbed.settled import settle

PAGE = "how-to/backup.md"
AT = 1_700_000_000
RAW = CodecOptions(RawBSONDocument)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def restored(real_database: str) -> Iterator[str]:
    """The URI of a database that is not there yet, on the same server."""
    uri = real_database.replace("/tests?", "/restored?")
    assert uri != real_database
    yield uri
    with Client(uri) as mongo:
        mongo.drop_database("restored")


def dump(uri: str, folder: Path) -> None:
    """Each collection as BSON, all of them as they were at one moment."""
    with Client(uri) as mongo, mongo.start_session(snapshot=True) as session:
        source = mongo.get_default_database()
        for name in source.list_collection_names(filter={"type": "collection"}):
            batches = cast("Iterable[bytes]", source[name].find_raw_batches(session=session))
            (folder / f"{name}.bson").write_bytes(b"".join(batches))


def restore(uri: str, folder: Path) -> None:
    with Client(uri) as mongo:
        for path in folder.glob("*.bson"):
            if rows := bson.decode_all(path.read_bytes(), RAW):
                mongo.get_default_database()[path.stem].insert_many(rows)


def follow(uri: str, folder: Path) -> str:
    """What the page's commands print, run on the restored database."""
    steps = [block.text for block in blocks(PAGE) if not block.marks]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MATCHBACK_MONGODB_URI": uri,
        "MATCHBACK_REDIS_URL": settings().redis_url,
    }
    command = ["bash", "-c", "\n".join(["set -euo pipefail", *steps])]
    return output(command, folder, environment)


def use(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process speaks to another database from now on."""
    monkeypatch.setenv("MATCHBACK_MONGODB_URI", uri)
    settings.cache_clear()
    mongoengine.disconnect_all()
    api_key.forget_keys()
    database.connect()


def told(alice: University, spring: str) -> Any:
    """What a client sees, but for when it was written."""
    report = alice.get(f"/v1/fundraisers/{spring}/report")
    lists = [
        alice.get(f"/v1/{noun}?sort=created_at")["data"]
        for noun in ("emails", "donations", "users")
    ]
    for record in (one for records in lists for one in records):
        del record["updated_at"]
    return {name: value for name, value in report.items() if name != "as_of"}, lists


def test_a_restored_copy_is_whole_and_goes_on(
    alice: University,
    real_database: str,
    restored: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One gift and one post are counted, one of each is still due at the moment of the backup."""
    alice.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.gift(spring, 2500, email_id=email)
    alice.deliver([event(email, "open", AT)])
    settle()
    alice.gift(spring, 1000, BOB)
    alice.deliver([event(email, "click", AT + 60)])
    dump(real_database, tmp_path)
    settle()
    expected = told(alice, spring)

    restore(restored, tmp_path)
    output = follow(restored, tmp_path)
    assert output.count("Incorrect counters: 0\n") == 1
    assert output.count("Repaired counters: 0\n") == 1
    assert "Deliveries to process again: 2" in output

    use(restored, monkeypatch)
    while sweep():
        pass
    assert told(alice, spring) == expected
    assert list(recount.recount()) == []
    assert expected[0]["donations"]["raised"] == {"USD": 3500}
    assert (expected[0]["emails"]["opens"], expected[0]["emails"]["clicks"]) == (1, 1)
    assert "due" in {
        key for index in get_db().donations.index_information().values() for key, _ in index["key"]
    }


def test_without_one_moment_a_recount_finds_it_and_mends_it(
    alice: University,
    real_database: str,
    restored: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gift that came between the dump of the fundraisers and that of the gifts."""
    spring = alice.fundraiser()
    alice.gift(spring, 2500)
    settle()
    dump(real_database, tmp_path)
    alice.gift(spring, 1000)
    settle()
    (tmp_path / "later").mkdir()
    dump(real_database, tmp_path / "later")
    (tmp_path / "later" / "donations.bson").replace(tmp_path / "donations.bson")

    restore(restored, tmp_path)
    use(restored, monkeypatch)
    off = list(recount.recount())
    assert ("fundraisers", "raised.USD") in {(drift.collection, drift.field) for drift in off}
    while off:
        for drift in off:
            recount.repair(drift)
        off = list(recount.recount())
    assert alice.report(spring)["donations"]["raised"] == {"USD": 3500}
