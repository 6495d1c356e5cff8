"""No query runs forever, no JavaScript runs in the database, and nothing is pickled."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import mongoengine
import orjson
import pytest
from falcon import testing
from mongoengine import get_db
from pymongo.errors import OperationFailure

from config import database
from documents.access import audit
from jobs.periodic import recount as recounting
from jobs.periodic import relabel as relabelling
from jobs.periodic import retention
from service.app import create_app
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.readme import ROOT
from tools.testbed.settled import settle_all

# Commands that open or close connections, and a cursor's next batches, to which the query's limit
# applies.
NO_QUERIES = {"hello", "ping", "endSessions", "getMore", "abortTransaction", "killCursors"}


@pytest.fixture
def commands(real_database: str) -> Iterator[CommandRecorder]:
    mongoengine.disconnect_all()
    yield CommandRecorder()
    mongoengine.disconnect_all()


def without_limit(commands: CommandRecorder) -> list[dict[str, Any]]:
    queries = [sent for sent in commands.sent if read_command_name(sent) not in NO_QUERIES]
    assert queries
    return [sent for sent in queries if not 0 < sent.get("maxTimeMS", 0) <= 20_000]


def use(alice: University) -> None:
    alice.set_webhook_key()
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    alice.deliver([make_event(email, "click", 1_700_000_000, url="https://example.edu")])
    gift = alice.gift(spring)
    line = {"fundraiser_id": spring, "user": {"name": "Eve", "email": "eve@example.edu"}}
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "x"}
    alice.call("POST", "/v1/emails/import", body=json.dumps(line).encode(), headers=headers)
    alice.call("POST", "/v1/users", {"name": "A", "email": "a@example.edu"}, headers=headers)
    for noun in ("users", "fundraisers", "mailings", "emails", "donations", "api-keys", "audit"):
        alice.get(f"/v1/{noun}")
    for path in (f"/v1/fundraisers/{spring}/report", f"/v1/donations/{gift}/match", "/readyz"):
        alice.get(path)
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "refunded"})
    alice.call("DELETE", f"/v1/donations/{gift}")
    alice.call("DELETE", f"/v1/users/{alice.get('/v1/users')['data'][0]['id']}?erase=true")
    assert alice.call("GET", "/metrics").status == 200


def test_every_query_of_a_request_has_a_time_limit(commands: CommandRecorder) -> None:
    database.connect_web(event_listeners=[commands])
    use(create_university("Alice's", Api.in_process(testing.TestClient(create_app()))))
    assert without_limit(commands) == []


def test_every_query_of_a_worker_has_a_time_limit(commands: CommandRecorder) -> None:
    database.connect_worker(event_listeners=[commands])
    use(create_university("Alice's", Api.in_process(testing.TestClient(create_app()))))
    settle_all()
    for step in (recounting.step, relabelling.step, retention.step, audit.link_finished_acts):
        step()
    assert without_limit(commands) == []


def test_the_database_runs_no_javascript(real_database: str) -> None:
    get_db().users.insert_one({})
    for query in (
        {"$where": "true"},
        {"$expr": {"$function": {"body": "x", "args": [], "lang": "js"}}},
    ):
        with pytest.raises(OperationFailure):
            get_db().users.find_one(query)


def test_no_code_unpickles() -> None:
    """Neither this project's code nor any library that it loads into a web process or worker."""
    dangerous = re.compile(r"\b(pickle|marshal|shelve|dill|cloudpickle|jsonpickle)\b")
    ours = [
        path
        for name in ("config", "documents", "jobs", "matchback", "service")
        for path in (ROOT / name).rglob("*.py")
    ]
    assert len(ours) > 100
    mentions = [
        (path.name, line)
        for path in ours
        for line in path.read_text().splitlines()
        if dangerous.search(line) and re.match(r"\s*(import|from)\b|.*\w+\.(loads?|dumps?)\(", line)
    ]
    assert mentions == []
    loaded = "from config.queue import huey; print(type(huey.serializer).__name__, huey.results)"
    command = [sys.executable, "-c", loaded]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["JSONSerializer", "False"]


def test_a_pickle_in_the_queue_is_not_a_message() -> None:
    import pickle

    from config.queue import JSONSerializer

    class Bomb:
        def __reduce__(self) -> Any:
            return print, ("it ran",)

    with pytest.raises(orjson.JSONDecodeError):
        JSONSerializer().deserialize(pickle.dumps(Bomb()))


def test_deep_and_large_json_is_rejected_cheaply(alice: University) -> None:
    for body, status in (
        (b"[" * 32 + b"]" * 32, 422),
        (b"[" * 33 + b"]" * 33, 400),
        (b'{"name": ' + b"9" * 4301 + b"}", 400),
        (json.dumps(BOB | {"name": "x" * 1_048_576}).encode(), 413),
    ):
        assert alice.call("POST", "/v1/users", body=body).status == status


def test_no_url_from_a_client_is_fetched() -> None:
    """The service and the workers connect only to MongoDB, Redis and the mail server.

    Only the supervisor and the demo import a library that fetches URLs, to call this service.
    Amazon SNS is an exception. tests/unit/documents/providers/test_sns.py checks its hosts. The
    sender is another one. tests/integration/jobs/sender/test_client.py checks its addresses. Single
    sign-on is the third. tests/unit/service/sign_on/test_hostile_answers.py checks its addresses.
    """
    fetches = re.compile(
        r"^\s*(import|from) (httpx|httpcore|requests|urllib\.request|http\.client|aiohttp)\b"
    )
    allowed, checked = (
        {"local", "demo", "sender", "sign_on"},
        {"sns_fetch.py", "sns_certificates.py", "sns_trust.py"},
    )
    found = [
        path.relative_to(ROOT)
        for name in ("config", "documents", "jobs", "service")
        for path in (ROOT / name).rglob("*.py")
        if path.parent.name not in allowed and path.name not in checked
        if any(fetches.match(line) for line in path.read_text().splitlines())
    ]
    assert found == []
