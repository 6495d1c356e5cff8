"""Clicks on different links are different clicks, before and after the upgrade."""

import json
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st
from mongoengine import get_db

from documents.migrations.migration import mark_all_finished
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.privacy import erasure
from documents.providers import sendgrid
from documents.tracking import former_clicks, replay
from matchback.engine.transaction import Tx
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://x.edu/give"
AGENT = "Mozilla/5.0"
ORGANIZATION = b"o" * 12


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    former_clicks.forget_migration_end()
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def email(alice: University) -> str:
    spring = alice.fundraiser()
    return alice.email(spring, mailing_id=alice.mailing(spring))


def click(email: str, id_: str | None, index: Any = None, part: Any = "html") -> dict[str, Any]:
    """Return a click within one second, by one browser, on the link at this position."""
    offset = {} if index is None else {"url_offset": {"index": index, "type": part}}
    told = make_event(email, "click", AT, url=LINK, useragent=AGENT, **offset)
    return told | ({"sg_event_id": id_} if id_ else {"sg_event_id": None})


def clicks(alice: University, email: str) -> int:
    settle_all()
    return int(alice.get(f"/v1/emails/{email}")["clicks"])


def count_as_before(
    alice: University, monkeypatch: pytest.MonkeyPatch, *told: dict[str, Any]
) -> None:
    """Deliver clicks to the earlier version, which has no positions, and count them."""
    with monkeypatch.context() as earlier:
        earlier.setattr(sendgrid, "_link_position", lambda offset: None)
        alice.deliver(list(told))
        settle_all()
    get_db().events.update_many({}, {"$unset": {"link_position": ""}})


def test_clicks_on_two_links_in_one_second_are_two(alice: University, email: str) -> None:
    alice.deliver(
        [click(email, "one", 0), click(email, "two", 1), click(email, "three", 1, "text")]
    )
    assert clicks(alice, email) == 3
    alice.deliver([click(email, "new", 0), click(email, None, 1), click(email, "three", 1, "text")])
    alice.deliver(None, body=b"[NaN," + json.dumps([click(email, "newer", 0)]).encode()[1:])
    assert clicks(alice, email) == 3


def test_repeated_clicks_on_one_link_in_one_second_are_one(alice: University, email: str) -> None:
    alice.deliver([click(email, "one"), click(email, "two"), click(email, None)])
    assert clicks(alice, email) == 1


def test_an_event_without_a_position_keeps_its_identity() -> None:
    told = make_event(
        "a" * 24, "click", AT, url="https://x.edu/", useragent=AGENT, sg_message_id="m"
    )
    former = "6332160d37459d4b055e14d8f8e37fe9"  # as the earlier version created it
    assert sendgrid.read_event_report(ORGANIZATION, told).identity.hex() == former
    assert sendgrid.read_event_report(ORGANIZATION, told).former_identity is None
    positioned = sendgrid.read_event_report(
        ORGANIZATION, {**told, "url_offset": {"index": 0, "type": "html"}}
    )
    assert positioned.former_identity == bytes.fromhex(former) != positioned.identity
    group = {"event": "group_unsubscribe", "asm_group_id": 10, "url_offset": {"index": 0}}
    group_key = "1144be6db228fbd4ee7862b249cdca23"
    assert sendgrid.read_event_report(ORGANIZATION, {**told, **group}).identity.hex() == group_key


@pytest.mark.parametrize(
    "offset",
    [
        *(None, 1, "0", [], {}, {"index": None}, {"index": True}, {"index": {}, "type": []}),
        *({"index": 1e300}, {"index": float("inf")}, {"index": float("nan")}, {"index": 2**70}),
        *({"index": ""}, {"other": 1}),
    ],
)
def test_an_invalid_position_is_ignored(offset: Any) -> None:
    told = make_event("a", "click", AT, url=LINK)
    report = sendgrid.read_event_report(ORGANIZATION, {**told, "url_offset": offset})
    assert report.link_position is None
    assert report.identity == sendgrid.read_event_report(ORGANIZATION, told).identity


@given(
    st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()),
    st.one_of(st.integers(), st.text(), st.none()),
)
def test_any_position_can_be_stored(index: Any, part: Any) -> None:
    told = make_event("a", "click", AT, url=LINK, url_offset={"index": index, "type": part})
    position = sendgrid.read_event_report(ORGANIZATION, told).link_position
    assert position is None or len(position.encode()) <= 1000


def test_different_forms_of_a_number_are_one_position() -> None:
    offsets = [{"index": index, "type": "html"} for index in (3, 3.0, "3")]
    told = [make_event("a", "click", AT, url_offset=offset) for offset in offsets]
    assert len({sendgrid.read_event_report(ORGANIZATION, one).identity for one in told}) == 1


@pytest.mark.parametrize("again", ["one", "new", None])
def test_a_click_counted_before_the_upgrade_is_not_counted_again(
    alice: University, email: str, again: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, "one", 0))
    assert clicks(alice, email) == 1
    alice.deliver([click(email, again, 0)])
    assert clicks(alice, email) == 1
    post = get_db().deliveries.find_one({}, sort=[("_id", -1)]) or {}
    assert (post["counted_events"], post["repeated_events"]) == (0, 1)
    alice.deliver([click(email, again, 0), click(email, "two", 1)])
    assert clicks(alice, email) == 2
    assert get_db().events.count_documents({"type": "click"}) == 2


def test_a_replay_counts_a_click_that_the_earlier_version_omitted(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, "one", 0), click(email, "two", 1))
    assert clicks(alice, email) == 1
    for _ in replay.replay_deliveries():
        pass
    assert clicks(alice, email) == 2
    for _ in replay.replay_deliveries():
        pass
    assert clicks(alice, email) == 2


def test_a_replayed_click_without_an_id_counts_once(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, None, 0))
    for _ in replay.replay_deliveries():
        pass
    assert clicks(alice, email) == 1
    post = get_db().deliveries.find_one() or {}
    assert (post["counted_events"], post["repeated_events"]) == (1, 0)


def test_a_click_with_a_lost_position_is_not_counted_again(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, "one", 0))
    get_db().deliveries.delete_many({})
    alice.deliver([click(email, "new", 0)])
    assert clicks(alice, email) == 1


def test_an_erased_click_is_not_counted_again(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, "one", 0))
    user = get_db().emails.find_one({}) or {}
    erasure.request_erasure(ObjectId(alice.id), user["user_id"])
    settle_all()
    assert get_db().events.count_documents({"type": "erased"}) == 1
    alice.deliver([click(email, "new", 0)])
    settle_all()
    assert get_db().events.count_documents({}) == 1


def test_many_clicks_across_the_upgrade_count_once(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of each post is known, under the same or a new ID. Each click counts once."""
    told = [click(email, f"{n}", n) | {"timestamp": AT + 10 * n} for n in range(40)]
    count_as_before(alice, monkeypatch, *told[:25])
    assert clicks(alice, email) == 25
    fresh = [{**one, "sg_event_id": f"new-{n}"} for n, one in enumerate(told)]
    for post in (fresh[10:30], told[5:35], fresh, told):
        alice.deliver(post)
    assert clicks(alice, email) == 40


def test_an_upgraded_database_looks_for_older_clicks_only(
    alice: University, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_as_before(alice, monkeypatch, click(email, "one", 0))
    list(upgrade_database())
    former_clicks.forget_migration_end()
    alice.deliver([click(email, "new", 0)])
    assert clicks(alice, email) == 1
    report = sendgrid.read_event_report(ObjectId(alice.id).binary, click(email, "newer", 0))
    of = (Tx(get_db()), ObjectId(alice.id))
    assert former_clicks.find_former_clicks(*of, [report])
    ended = {"$set": {"finished_at": report.at - timedelta(days=2)}}
    get_db().migrations.update_one({"_id": former_clicks.FORMER_CLICKS_MIGRATION}, ended)
    former_clicks.forget_migration_end()
    assert not former_clicks.find_former_clicks(*of, [report])


@pytest.mark.usefixtures("real_database")
def test_a_new_database_looks_for_no_older_clicks(real_client: testing.TestClient) -> None:
    mark_all_finished(MIGRATIONS)
    former_clicks.forget_migration_end()
    report = sendgrid.read_event_report(ORGANIZATION, click("a" * 24, "one", 0))
    get_db().events.insert_one(
        {"_id": report.former_identity, "organization_id": ObjectId(ORGANIZATION)}
    )
    known = former_clicks.find_former_clicks(Tx(get_db()), ObjectId(ORGANIZATION), [report])
    assert known == {}
