"""Events for open pages, from a hub that the test ticks by hand. The clock is a number."""

import json
from datetime import timedelta
from typing import Any

import falcon
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo.errors import AutoReconnect

from documents.values.time import now
from service.dashboard.live import look
from service.dashboard.live.events import find_behind_step
from service.dashboard.live.hub import HEARTBEAT_SECONDS, Hub, TooManyPages
from service.dashboard.live.resource import Live
from service.dashboard.live.viewer import Viewer
from service.dashboard.live.watch import MAX_WATCHED_RECORDS, LiveQuery, WatchedRecord, read_watch
from service.middleware.request import HeadRequests
from tools.bench.dashboard_idle import open_session
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

ID = "0123456789abcdef01234567"
CHANGED: list[tuple[str, Any]] = [("changed", {})]


class Page:
    """An open page that records its events, and whether its stream has ended."""

    def __init__(self, hub: Hub, watched: set[WatchedRecord], session_id: str = "session") -> None:
        self._told = b""
        self.is_ended = False
        self.viewer = Viewer(session_id, watched, self._send, self._end)
        hub.greet(self.viewer)  # not `subscribe`, because its thread would also tick

    def _send(self, data: bytes) -> None:
        assert not self.is_ended
        self._told += data

    def _end(self) -> None:
        self.is_ended = True

    def news(self) -> list[tuple[str, Any]]:
        """Return the events since the last call."""
        told, self._told = self._told.decode(), b""
        events = [dict(line.split(": ", 1) for line in one.split("\n")) for one in blocks(told)]
        return [(event["event"], json.loads(event["data"])) for event in events]


def blocks(told: str) -> list[str]:
    assert told == "" or told.endswith("\n\n")
    return told.split("\n\n")[:-1]


class Clock:
    """A clock that ticks a hub, by default without reaching the next beat."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._at = 1000.0
        hub._beat_at = self._at + HEARTBEAT_SECONDS

    def tick(self, seconds: float = 0.01) -> None:
        self._at += seconds
        self._hub.tick(self._at)


def quiet(hub: Hub, *pages: Page) -> Clock:
    """Return a clock for a hub whose pages have been greeted."""
    for page in pages:
        assert page.news()[0][0] == "hello"
    return Clock(hub)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def watch(place: University, **ids: str) -> set[WatchedRecord]:
    text = ",".join(f"{collection}:{id_}" for collection, id_ in ids.items())
    return read_watch(text, ObjectId(place.id))


def test_a_change_is_sent_once_and_only_to_pages_that_show_it(alice: University) -> None:
    spring, autumn = alice.fundraiser("Spring"), alice.fundraiser("Autumn")
    hub = Hub()
    shows = Page(hub, watch(alice, fundraisers=spring))
    other = Page(hub, watch(alice, fundraisers=autumn))
    clock = quiet(hub, shows, other)
    clock.tick()
    assert shows.news() == other.news() == []
    alice.gift(spring)
    settle_all()
    clock.tick()
    assert (shows.news(), other.news()) == (CHANGED, [])
    clock.tick()
    assert shows.news() == []


def test_another_organizations_change_is_never_sent(alice: University, charlie: University) -> None:
    """Charlie knows the ID, but learns neither that the record exists nor that it is deleted."""
    spring = alice.fundraiser()
    hub = Hub()
    hers, his = (Page(hub, watch(place, fundraisers=spring)) for place in (alice, charlie))
    clock = quiet(hub, hers, his)
    for amount in (100, 200):
        alice.gift(spring, amount)
        settle_all()
        clock.tick()
        assert (hers.news(), his.news()) == (CHANGED, [])
    get_db().fundraisers.delete_one({"_id": ObjectId(spring)})
    clock.tick()
    assert (hers.news(), his.news()) == (CHANGED, [])


def test_several_changes_in_one_tick_are_one_event(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    gift = alice.gift(spring, email_id=email)
    hub = Hub()
    page = Page(hub, watch(alice, fundraisers=spring, emails=email, donations=gift))
    clock = quiet(hub, page)
    settle_all()
    clock.tick()
    assert page.news() == CHANGED


def test_a_new_record_is_a_change(alice: University) -> None:
    hub = Hub()
    page = Page(hub, watch(alice, users=ID))
    clock = quiet(hub, page)
    get_db().users.insert_one({"_id": ObjectId(ID), "organization_id": ObjectId(alice.id)})
    clock.tick()
    assert page.news() == CHANGED


def test_internal_notes_of_settling_are_not_changes(alice: University) -> None:
    spring = alice.fundraiser()
    gift, email = alice.gift(spring), alice.email(spring)
    settle_all()
    hub = Hub()
    page = Page(hub, watch(alice, donations=gift, emails=email))
    clock = quiet(hub, page)
    ours = {"counted": [], "due": now(), "held_at": now(), "matched_at": now(), "rematch": True}
    for collection, id_ in (("donations", gift), ("emails", email)):
        get_db()[collection].update_one({"_id": ObjectId(id_)}, {"$set": ours})
    clock.tick()
    assert page.news() == []


def test_any_number_of_viewers_costs_one_query_per_collection(real_database: str) -> None:
    asked: list[set[WatchedRecord]] = []

    def digests(watched: Any) -> dict[WatchedRecord, bytes]:
        asked.append(set(watched))
        return {}

    hub = Hub(digests=digests, behind=lambda: 0)
    first, second = (read_watch(f"fundraisers:{ID}", ObjectId()) for _ in range(2))
    pages = [Page(hub, first), Page(hub, first | second), Page(hub, second)]
    clock = quiet(hub, *pages)
    asked.clear()
    clock.tick()
    assert asked == [first | second]


def test_lag_is_sent_in_steps(alice: University) -> None:
    """Failed records that are retried later, and very recent ones, do not count as lag."""
    spring = alice.fundraiser()
    gift = {"_id": ObjectId(alice.gift(spring))}
    hub = Hub()
    page = Page(hub, watch(alice, mailings=ID))
    clock = quiet(hub, page)

    def told(due_seconds: float, **more: Any) -> list[tuple[str, Any]]:
        due = {"due": now() - timedelta(seconds=due_seconds)}
        get_db().donations.update_one(gift, {"$set": due | more})
        clock.tick()
        return page.news()

    assert told(1) == []
    ((name, data),) = told(12)
    assert (name, find_behind_step(data["behind_seconds"])) == ("behind", 10)
    assert told(14) == []
    later = Page(hub, watch(alice, mailings=ID)).news()
    assert find_behind_step(later[0][1]["behind_seconds"]) == 10
    ((name, data),) = told(70)
    assert (name, find_behind_step(data["behind_seconds"])) == ("behind", 60)
    trouble = {"retry_at": now() + timedelta(minutes=1)}
    assert told(80, trouble=trouble) == [("behind", {"behind_seconds": 0})]


def test_lag_is_rounded_to_steps() -> None:
    assert [find_behind_step(behind) for behind in (0, 1, 2, 4, 5, 59, 60, 10**6)] == [
        0,
        0,
        2,
        2,
        5,
        30,
        60,
        3600,
    ]


def test_a_beat_is_sent_every_ten_seconds(real_database: str) -> None:
    hub = Hub()
    page = Page(hub, read_watch(f"users:{ID}", ObjectId()))
    clock = quiet(hub, page)
    clock.tick(HEARTBEAT_SECONDS)
    clock.tick()
    assert page.news() == [("beat", {})]
    clock.tick(HEARTBEAT_SECONDS)
    assert page.news() == [("beat", {})]


def test_a_database_outage_and_its_end_are_sent_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Open pages keep receiving beats. A new page receives the reason of the outage."""
    is_there = True

    def digests(watched: Any) -> dict[WatchedRecord, bytes]:
        if not is_there:
            raise AutoReconnect("away")
        return {}

    hub = Hub(digests=digests, behind=lambda: 0)
    watched = read_watch(f"users:{ID}", ObjectId())
    page = Page(hub, watched)
    clock = quiet(hub, page)
    is_there = False
    clock.tick()
    clock.tick(HEARTBEAT_SECONDS)
    assert page.news() == [("away", {}), ("beat", {})]
    late = Page(hub, watched)
    assert [name for name, _ in late.news()] == ["hello", "away"]
    is_there = True
    clock.tick()
    clock.tick()
    assert page.news() == late.news() == [("back", {}), *CHANGED]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_ended_session_closes_its_stream() -> None:
    """A database that cannot look up sessions ends none of them."""
    valid: set[str] = {"bob", "eve"}
    asked: list[set[str]] = []

    def still_valid(session_ids: set[str]) -> set[str]:
        asked.append(session_ids)
        if "bob" not in valid:
            raise AutoReconnect("away")
        return valid

    hub = Hub(still_valid, digests=lambda watched: {}, behind=lambda: 0)
    watched = read_watch(f"users:{ID}", ObjectId())
    bob, eve = (Page(hub, watched, name) for name in ("bob", "eve"))
    clock = quiet(hub, bob, eve)
    valid.discard("eve")
    clock.tick()
    assert asked == []
    clock.tick(HEARTBEAT_SECONDS)
    assert asked == [{"bob", "eve"}]
    assert (eve.news(), eve.is_ended) == ([("bye", {})], True)
    valid.discard("bob")
    clock.tick(HEARTBEAT_SECONDS)
    assert (bob.news(), bob.is_ended) == ([("beat", {})] * 2, False)
    assert asked[-1] == {"bob"}


BAD = {
    "nothing": "",
    "no id": "fundraisers",
    "no such id": "fundraisers:1",
    "an unknown collection": f"api_keys:{ID}",
    "an empty part": f"fundraisers:{ID},",
    "an operator": "fundraisers:$ne",
    "too many": ",".join([f"users:{ID}"] * (MAX_WATCHED_RECORDS + 1)),
}


@pytest.mark.parametrize("text", BAD.values(), ids=list(BAD))
def test_an_invalid_watch_list_is_rejected(text: str) -> None:
    with pytest.raises(falcon.HTTPBadRequest):
        read_watch(text, ObjectId())


def test_a_page_can_watch_a_hundred_records() -> None:
    text = ",".join(f"fundraisers:{ObjectId()}" for _ in range(MAX_WATCHED_RECORDS))
    assert len(read_watch(LiveQuery(watch=text).watch, ObjectId())) == MAX_WATCHED_RECORDS


def test_a_page_is_greeted_and_removed_when_its_stream_closes(alice: University) -> None:
    """Through the resource, with the tests' client, which reads the beginning of a stream."""
    hub = Hub()
    app = falcon.App(middleware=[HeadRequests()])
    app.add_route("/dashboard/live", Live(hub=hub))
    client = testing.TestClient(app, headers=open_session(ObjectId(alice.id)))
    answer = client.simulate_get(f"/dashboard/live?watch=users:{ID}")
    pause, _, greeting = answer.text.partition("\n")
    assert 1000 <= int(pause.removeprefix("retry: ")) <= 4000
    # A busy machine can send a beat before the client stops reading.
    sent = greeting.replace("event: beat\ndata: {}\n\n", "")
    assert sent == 'event: hello\ndata: {"behind_seconds":0}\n\n'
    assert answer.headers["content-type"] == "text/event-stream"
    assert hub.is_empty
    head = client.simulate_head(f"/dashboard/live?watch=users:{ID}")
    assert (head.status_code, head.text) == (200, "")
    assert hub.is_empty
    assert client.simulate_get("/dashboard/live?watch=staff:1").status_code == 400
    assert (
        testing.TestClient(app).simulate_get(f"/dashboard/live?watch=users:{ID}").status_code == 303
    )


def test_one_organization_cannot_take_others_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session, an organization, and an organization's watched records each have a limit."""
    monkeypatch.setattr("service.dashboard.live.hub.MAX_PAGES_A_SESSION", 2)
    monkeypatch.setattr("service.dashboard.live.hub.MAX_PAGES_AN_ORGANIZATION", 3)
    monkeypatch.setattr("service.dashboard.live.hub.MAX_WATCHED_AN_ORGANIZATION", 4)
    hub = Hub(digests=lambda watched: {}, behind=lambda: 0)
    monkeypatch.setattr(hub._watching, "ensure_started", lambda: None)
    alices, charlies = ObjectId(), ObjectId()

    def open_page(session: str, organization_id: ObjectId, number: int = 1) -> Viewer:
        watched = [WatchedRecord(organization_id, "users", ObjectId()) for _ in range(number)]
        viewer = Viewer(session, watched, lambda data: None, lambda: None)
        hub.subscribe(viewer)
        return viewer

    first = open_page("a", alices)
    open_page("a", alices)
    for session, number in (("a", 1), ("b", 3)):
        with pytest.raises(TooManyPages):
            open_page(session, alices, number)
    open_page("b", alices)
    with pytest.raises(TooManyPages):
        open_page("c", alices)
    open_page("d", charlies)
    hub.unsubscribe(first)
    open_page("c", alices)


def test_a_page_receives_only_its_own_organizations_new_records(
    real_client: testing.TestClient,
) -> None:
    """Each organization costs one step in an index, for any number of records."""
    api = Api.in_process(real_client)
    alice, charlie = (
        create_university("Alice's University", api),
        create_university("Charlie's", api),
    )
    spring = alice.fundraiser()
    for _ in range(30):
        alice.gift(spring)
    hers = WatchedRecord(ObjectId(alice.id), "new_donations", ObjectId(alice.id))
    spying = WatchedRecord(ObjectId(charlie.id), "new_donations", ObjectId(alice.id))
    before = look.digest_records([hers, spying])
    assert spying not in before
    alice.gift(spring)
    after = look.digest_records([hers, spying])
    assert after.keys() == {hers}
    assert after[hers] != before[hers]
    profile = explained_newest(ObjectId(alice.id))
    assert "DISTINCT_SCAN" in str(profile)
    assert profile["executionStats"]["totalKeysExamined"] <= 2


def explained_newest(organization_id: ObjectId) -> Any:
    """Return MongoDB's plan for finding the newest record."""
    asked = {
        "aggregate": "donations",
        "pipeline": look.build_newest_pipeline([organization_id]),
        "hint": look.ORGANIZATION_INDEX,
        "cursor": {},
    }
    explain = {"explain": asked, "verbosity": "executionStats"}
    told = get_db().command(explain)
    return told if "executionStats" in told else told["stages"][0]["$cursor"]
