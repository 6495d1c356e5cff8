"""Erasing Bob: no collection contains him, and no figure changes."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bson import Binary, ObjectId
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from documents.erased.items import ERASED_BODY
from documents.erased.person import Person
from documents.erased.rules import Traces
from documents.history.hours import sum_next_hour
from documents.migrations.migration import mark_all_finished
from documents.migrations.steps import MIGRATIONS
from documents.payments.payment import make_payment_id
from documents.privacy import erasure
from documents.privacy import posts as erased_posts
from documents.providers.provider import parse_items
from documents.providers.report import ERASED_ITEM
from documents.values.time import now
from jobs.sweep import sweep_due_records
from service.cli import main
from tests.rows import delivery_row
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.history import find_history_mistakes
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    make_charge_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

AT = 1_700_000_000
LINK = "https://give.example.edu/"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    mark_all_finished(MIGRATIONS)
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def texts(value: Any) -> Iterator[str]:
    """Return all readable texts in a stored document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(name)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, bytes | Binary):
        yield bytes(value).decode("utf-8", "replace")
        try:
            yield from texts(json.loads(value))
        except ValueError:
            return
    else:
        yield str(value)


def traces(*wanted: str) -> list[tuple[str, Any]]:
    """Return every place in the database that contains one of these texts."""
    database = get_db()
    return [
        (name, row["_id"])
        for name in database.list_collection_names()
        if not name.startswith("system.")
        for row in database[name].find()
        if any(one.casefold() in text.casefold() for text in texts(row) for one in wanted)
    ]


def busy_bob(alice: University) -> tuple[str, str, str]:
    """Email Bob, who opens, clicks and gives under several spellings of his address."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    eve = alice.email(spring, {"name": "Eve", "email": "eve@x.edu"}, mailing_id=mailing)
    escaped = json.dumps(make_event(email, "open", AT + 5)).replace("bob@", "\\u0062ob@")
    alice.deliver(
        [
            make_event(email, "delivered", AT),
            make_event(email, "click", AT + 60, url=f"{LINK}?who=bob@example.edu"),
            make_event(eve, "open", AT + 61, email="eve@x.edu"),
            make_event(UNKNOWN_ID, "open", AT + 62, sg_message_id="other"),
        ]
    )
    alice.deliver(None, body=f"[{escaped}]".encode())
    alice.deliver(
        [make_event(email, "open", AT + 5), make_event(eve, "open", AT + 63, email="eve@x.edu")]
    )
    alice.deliver(None, body=b"no array, but bob@example.edu")
    alice.gift(spring, 2500, email_id=email, external_id="bob@example.edu-1")
    alice.gift(spring, 1000, BOB | {"email": "BOB@Example.edu"}, email_id="BOB@example.edu")
    set_stripe_secret(alice)
    post_stripe_event(
        alice, set_metadata(make_charge_event("succeeded"), fundraiser_id=spring, email_id=email)
    )
    post_stripe_event(
        alice, make_charge_event("succeeded", id="ch_2", payment_intent=None)
    )  # without a fundraiser
    settle_all()
    return spring, mailing, email


def figures(alice: University, spring: str, mailing: str) -> list[Any]:
    reports = [alice.report(spring), alice.get(f"/v1/mailings/{mailing}/report")]
    for report in reports:
        del report["as_of"], report["unmatched_events"]
    return [*reports, alice.get(f"/v1/mailings/{mailing}/links")]


def bobs_id() -> str:
    return str((get_db().users.find_one({"address": BOB["email"]}) or {})["_id"])


@pytest.mark.parametrize("how", ["request", "command"])
def test_no_collection_contains_him_and_no_figure_changes(alice: University, how: str) -> None:
    spring, mailing, email = busy_bob(alice)
    before, bob = figures(alice, spring, mailing), bobs_id()
    eve = traces("eve@x.edu")
    assert ("users", ObjectId(bob)) in traces("baker")
    assert {name for name, _ in traces("bob@example.edu")} == {
        "users",
        "donations",
        "events",
        "deliveries",
        "payments",
    }
    if how == "request":
        assert alice.call("DELETE", f"/v1/users/{bob}?erase=true").status == 204
    else:
        arguments = ["erase", bob, "--organization", alice.id, "--yes"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
    # A search stops finding him at once, before a worker completes the erasure.
    assert "words" not in (get_db().users.find_one({"_id": ObjectId(bob)}) or {})
    settle_all()
    assert traces("bob@example.edu", "Bob Baker", "baker") == []
    assert figures(alice, spring, mailing) == before
    assert alice.call("GET", f"/v1/users/{bob}").status == 404
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    assert traces("eve@x.edu") == eve
    assert len(eve) >= 3
    gift = alice.get("/v1/donations")["data"][0]
    assert gift["donor"] == {"name": "(erased)", "email": "(erased)"}
    assert alice.call("DELETE", f"/v1/users/{bob}?erase=true").status == 204  # a repeat is allowed


HISTORY_FIELDS = {
    "counter_changes": {"_id", "of", "at", "amounts"},
    "counter_sums": {"_id", "of", "at", "total"},
    "gift_changes": {"_id", "organization_id", "fundraiser_id", "at", "changes"},
}
GIFT_CHANGE_FIELDS = {
    *("_id", "donation_id", "kinds", "currency", "before", "after", "refunded"),
}
GIFT_STATE_FIELDS = {"match", "amount", "email_id", "mailing_id"}


def test_the_history_has_only_ids_and_numbers_so_it_stays(alice: University) -> None:
    spring, *_ = busy_bob(alice)
    while sum_next_hour(now() + timedelta(hours=3)):
        pass
    before = {name: list(get_db()[name].find().sort("_id", 1)) for name in HISTORY_FIELDS}
    explained = alice.get(f"/v1/fundraisers/{spring}")["created_at"]
    changes = f"/v1/fundraisers/{spring}/changes?from={explained}"
    told = alice.get(changes)
    for name, rows in before.items():
        assert rows
        assert {field for row in rows for field in row} == HISTORY_FIELDS[name]
    for row in before["gift_changes"]:
        for change in row["changes"]:
            assert change.keys() <= GIFT_CHANGE_FIELDS
            for state in (change.get("before"), change.get("after")):
                assert (state or {}).keys() <= GIFT_STATE_FIELDS
    alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=true")
    settle_all()
    assert traces("bob@example.edu", "Bob Baker", "baker") == []
    for name, rows in before.items():
        kept = {row["_id"]: row for row in get_db()[name].find()}
        assert [kept[row["_id"]] for row in rows] == rows
    assert alice.get(changes)["explanation"]["after"] == told["explanation"]["after"]
    assert find_history_mistakes() == []


def test_later_events_about_him_are_counted_and_not_stored(alice: University) -> None:
    spring, mailing, email = busy_bob(alice)
    alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=true")
    settle_all()
    alice.deliver(
        [make_event(email, "open", AT + 5), make_event(email, "open", AT + 900)]
    )  # one is old
    settle_all()
    settle_all()
    assert traces("bob@example.edu") == []
    assert alice.get(f"/v1/emails/{email}")["opens"] == 2
    assert alice.get(f"/v1/mailings/{mailing}/report")["emails"]["opens"] == 4
    assert CliRunner().invoke(main, ["replay"]).exit_code == 0
    settle_all()
    assert alice.report(spring)["emails"]["opens"] == 4
    raised = alice.report(spring)["donations"]["raised"]["USD"]
    back = make_charge_event("refunded", 5, amount_refunded=400)
    post_stripe_event(alice, set_metadata(back, fundraiser_id=spring, email_id=email))
    settle_all()
    assert alice.report(spring)["donations"]["raised"]["USD"] == raised - 400
    assert traces("bob@example.edu", "Bob Baker") == []


def test_pending_posts_are_counted_first(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, email = busy_bob(alice)
    alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=true")
    alice.deliver([make_event(email, "open", AT + 900)])
    monkeypatch.setattr(erasure, "ERASURE_RETRY_INTERVAL", timedelta(0))
    sweepers = [threading.Thread(target=sweep_due_records) for _ in range(3)]
    for thread in sweepers:
        thread.start()
    for thread in sweepers:
        thread.join()
    settle_all()
    assert traces("bob@example.edu") == []
    assert alice.get(f"/v1/emails/{email}")["opens"] == 2


def test_an_item_that_names_only_his_message_is_redacted(alice: University) -> None:
    email = alice.email(alice.fundraiser())

    def report(email_id: str, type_: str, message: str, ip: str) -> None:
        unnamed = {"email": "", "sg_message_id": message}
        alice.deliver([make_event(email_id, type_, AT, ip=ip, **unnamed)])
        settle_all()

    report(email, "delivered", "message-7", "")
    report("", "open", "message-7", "192.0.2.7")
    report("", "click", "message-8", "192.0.2.8")
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=true")
    settle_all()
    assert traces("192.0.2.7", "message-7") == []
    assert "deliveries" in [name for name, _ in traces("192.0.2.8")]


def test_his_address_is_free_for_a_new_person(alice: University) -> None:
    busy_bob(alice)
    alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=true")
    settle_all()
    assert alice.make("users", **BOB)["donations_count"] == 0


def test_another_organizations_person_cannot_be_erased(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    busy_bob(alice)
    for id_ in (bobs_id(), UNKNOWN_ID, "x"):
        assert charlie.call("DELETE", f"/v1/users/{id_}?erase=true").status == 404
    assert alice.call("DELETE", f"/v1/users/{bobs_id()}?erase=yes").status == 422
    assert alice.call("DELETE", f"/v1/users/{bobs_id()}").status == 409
    settle_all()
    assert len(traces("bob@example.edu")) > 3
    assert ObjectId.is_valid(bobs_id())


@pytest.mark.parametrize("depth", [10, 300, 700, 1000, 1020, 5000])
def test_a_deeply_nested_post_does_not_block_an_erasure(mock_database: None, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    bob = frozenset({"bob@example.edu"})
    person = Person(ObjectId(), ObjectId(), tuple(bob), Traces(mailboxes=bob, addresses=bob), ())
    scan = erased_posts._Scan(person, [])

    def without(body: str) -> bytes | None:
        return scan._without(delivery_row(provider="sendgrid", body=body.encode()))

    for told in ('"bob@example.edu"', '{"email": "BOB@example.edu"}'):
        left = without(f'[{deep}, {{"a": 1}}, {told}]')
        assert left is not None
        assert b"example" not in left.lower()
        assert parse_items(left)[1:] == [{"a": 1}, ERASED_ITEM]
    assert without(f"[{deep}, 7]") is None
    nested = json.loads("[" * 600 + '"bob@example.edu"' + "]" * 600)
    assert "bob" not in json.dumps(erased_posts.redact_json(nested, lambda text: "bob" in text))


def test_searching_posts_costs_the_same_for_thousands_of_payments(
    mock_database: None,
) -> None:
    of = ObjectId()
    person = Person(ObjectId(), of, (), Traces(), ())
    payments = [make_payment_id(of, "stripe", f"ch_{number}-x") for number in range(5_000)]
    scan = erased_posts._Scan(person, payments)

    def without(text: str) -> bytes | None:
        post = delivery_row(organization_id=of, provider="stripe", body=text.encode())
        return scan._without(post)

    begun = time.thread_time()
    for body in ("no JSON, of ch_4999", "no JSON, of ch_4999-x-y", "no JSON, of mych_4999-x"):
        assert without(body + " more" * 20_000) is None
    assert time.thread_time() - begun < 1
    assert without("no JSON, of ch_4999-x!") == ERASED_BODY
