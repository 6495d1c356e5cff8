"""Alice reads Bob's emails, actions and gifts in chronological order."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.donation import Donation
from documents.email import Email
from documents.match import MATCH_INDEX, has_all_matches
from documents.organization import Organization
from documents.reports.timeline import (
    GivenGift,
    ReportedEvent,
    SentEmail,
    TimelineEntry,
    list_timeline,
)
from documents.storage.pagination import InvalidCursor
from documents.storage.record import build_record_row
from documents.storage.tenancy import act_for
from documents.user import User
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
START = datetime.fromtimestamp(AT, UTC)


def bob_of(alice: University) -> User:
    user = User.by_address(ObjectId(alice.id), BOB["email"])
    assert user
    return user


def every(user: User, limit: int) -> list[TimelineEntry]:
    """Return the entries of all pages in order."""
    found, cursor = [], None
    while True:
        page = list_timeline(user, limit=limit, cursor=cursor)
        found += page.entries
        assert len(page.entries) == limit or page.next_cursor is None
        if (cursor := page.next_cursor) is None:
            return found


def busy(organization_id: ObjectId, seed: int = 1, emails: int = 60) -> User:
    """Create a person with hundreds of emails, events and gifts, within a few seconds."""
    chance = random.Random(seed)
    user = User.create(organization_id, "Bob", f"bob{seed}@example.edu")
    of = {"organization_id": organization_id, "user_id": user.id, "fundraiser_id": ObjectId()}

    def at() -> datetime:
        return START + timedelta(seconds=chance.randrange(7))

    sent = [build_record_row(Email, **of, sent_at=at() if n % 9 else None) for n in range(emails)]
    told = [
        {"_id": chance.randbytes(16), "email_id": chance.choice(sent)["_id"], "at": at()}
        | {"organization_id": organization_id, "type": chance.choice(["open", "click", "new"])}
        for _ in range(4 * emails)
    ]
    gave = [build_gift(of, at()) for _ in range(emails)]
    for name, rows in (("emails", sent), ("events", told), ("donations", gave)):
        get_db()[name].insert_many(rows)
    get_db().matches.insert_many(map(MATCH_INDEX.row, gave))
    return user


def build_gift(of: dict[str, Any], at: datetime) -> Any:
    known = {**of, "amount": 100, "currency": "USD", "status": "succeeded", "match": "none"}
    return build_record_row(Donation, **known, donated_at=at)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def organization_id(real_database: str) -> ObjectId:
    organization_id: ObjectId = Organization.create("Alice's University").id
    return organization_id


# The timeline has emails with their mailings' names, their events, and gifts, newest first.
def test_the_timeline_shows_emails_events_and_gifts(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, name="Spring appeal")
    email = alice.email(spring, mailing_id=mailing, sent_at="2023-11-14T22:13:20Z")
    link = "https://x.edu/give"
    alice.deliver(
        [
            make_event(email, "delivered", AT + 10),
            make_event(email, "open", AT + 20, sg_machine_open=True),
            make_event(email, "click", AT + 60, url=link),
            make_event(email, "bounce", AT + 90, type="blocked"),
        ]
    )
    gift = alice.gift(spring, 2500, email_id=email, donated_at="2023-11-14T22:15:20Z")
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 1000})
    settle_all()
    gave, bounced, clicked, opened, delivered, sent = list_timeline(bob_of(alice)).entries
    assert isinstance(gave, GivenGift)
    assert (gave.amount, gave.currency, gave.refunded_amount) == (2500, "USD", 1000)
    assert (gave.status, gave.match, str(gave.email_id)) == ("succeeded", "link", email)
    assert str(gave.gift_id) == gift
    told = [one for one in (bounced, clicked, opened, delivered) if isinstance(one, ReportedEvent)]
    assert [one.type for one in told] == ["bounce", "click", "open", "delivered"]
    assert [one.machine for one in told] == [False, False, True, False]
    assert (told[0].bounce_type, told[1].url) == ("blocked", link)
    assert isinstance(sent, SentEmail)
    assert (str(sent.email_id), str(sent.fundraiser_id)) == (email, spring)
    assert sent.at == START
    entries: list[GivenGift | ReportedEvent | SentEmail] = [gave, *told, sent]
    assert {one.mailing for one in entries} == {"Spring appeal"}


# Pages of any size contain each entry within the same second exactly once.
@pytest.mark.parametrize(("seed", "limits"), [(1, (1, 50)), (2, (2, 60)), (3, (7, 70))])
def test_pages_have_every_entry_once(
    organization_id: ObjectId, seed: int, limits: tuple[int, ...]
) -> None:
    bob = busy(organization_id, seed)
    whole = list_timeline(bob, limit=1000).entries
    assert len(whole) == 60 - 7 + 240 + 60
    assert len({entry.key for entry in whole}) == len(whole)
    assert [entry.at for entry in whole] == sorted((e.at for e in whole), reverse=True)
    for limit in limits:
        assert every(bob, limit) == whole


# A new entry at the time where a page ends does not move later entries.
def test_a_new_entry_repeats_no_other(organization_id: ObjectId) -> None:
    bob = busy(organization_id)
    whole = [entry.key for entry in list_timeline(bob, limit=1000).entries]
    first = list_timeline(bob, limit=100)
    at = first.entries[-1].at
    of = {"organization_id": organization_id, "user_id": bob.id, "fundraiser_id": ObjectId()}
    more = build_gift(of, at)
    get_db().donations.insert_one(more)
    get_db().matches.insert_one(MATCH_INDEX.row(more))
    rest = list_timeline(bob, limit=1000, cursor=first.next_cursor).entries
    added = f"2-{more['_id']}"
    assert [entry.key for entry in rest if entry.key != added] == whole[100:]


# A query reads only the person's own emails, whatever else their organization has sent.
def test_a_page_costs_the_same_at_any_number_of_other_people(organization_id: ObjectId) -> None:
    bob = busy(organization_id)
    alone = work(bob)
    for seed in range(10, 18):
        busy(organization_id, seed, 300)
    keys, documents = work(bob)
    assert documents == alone[1]
    assert keys <= alone[0] + 2 * 60  # each range's end reads the next person's key
    assert max(alone) < 2 * 2 * (60 + 240 + 60 + 60)


def work(user: User) -> tuple[int, int]:
    """Return the keys and documents that MongoDB examined for two pages."""
    database = get_db()
    assert has_all_matches()  # The process remembers it.
    database.command("profile", 2)
    cursor = list_timeline(user).next_cursor
    list_timeline(user, cursor=cursor)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": {"$not": {"$regex": "profile"}}}))
    database.drop_collection("system.profile")
    assert len(seen) == 6
    assert not any("COLLSCAN" in one["planSummary"] for one in seen)
    keys, documents = (sum(one.get(n, 0) for one in seen) for n in ("keysExamined", "docsExamined"))
    return keys, documents


# For a person with too many emails, the timeline shows the latest events.
def test_only_the_latest_emails_are_read(
    organization_id: ObjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = busy(organization_id)
    monkeypatch.setattr("documents.reports.timeline.MAX_TIMELINE_EMAILS", 5)
    sent = [one for one in every(bob, 50) if isinstance(one, SentEmail)]
    latest = get_db().emails.find({"user_id": bob.id}).sort("_id", -1).limit(5)
    assert {one.email_id for one in sent} == {row["_id"] for row in latest if row.get("sent_at")}


# Erasing a person removes their events, and their timeline remains readable.
def test_an_erased_persons_timeline_is_almost_empty(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.deliver([make_event(email, "open", AT + 20), make_event(email, "click", AT + 60)])
    alice.gift(spring, email_id=email)
    settle_all()
    bob = bob_of(alice)
    assert len(list_timeline(bob).entries) == 4
    alice.call("DELETE", f"/v1/users/{bob.id}?erase=true")
    settle_all()
    assert [entry.kind for entry in list_timeline(bob).entries] == ["gift", "email"]


# A person without emails has an empty timeline.
def test_a_person_without_entries_has_an_empty_timeline(organization_id: ObjectId) -> None:
    eve = User.create(organization_id, "Eve", "eve@example.edu")
    assert list_timeline(eve).entries == []
    assert list_timeline(eve).next_cursor is None


# Charlie sees nothing of Alice's people.
def test_charlie_sees_no_timeline_of_alices(organization_id: ObjectId) -> None:
    bob = busy(organization_id)
    charlies = Organization.create("Charlie's University").id
    assert list_timeline(User(id=bob.id, organization_id=charlies)).entries == []
    with act_for(charlies):
        assert list_timeline(bob).entries == []


# A cursor is valid only for the person it was made for, and an invalid cursor is rejected.
def test_a_cursor_of_another_person_is_rejected(organization_id: ObjectId) -> None:
    bob, eve = busy(organization_id), busy(organization_id, 2)
    own = list_timeline(eve, limit=2).next_cursor
    assert own
    for cursor in (own, "", "x", "é", "\ud800", "W10", own[:-4], "A" * 5000):
        with pytest.raises(InvalidCursor):
            list_timeline(bob, cursor=cursor)


# A cursor must contain a valid time.
@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, "", "1:2", "x:1:00", "1:0:00", "1:2:zz", f"{'9' * 30}:1:00", "1:9:" + "0" * 24),
        *("9" * 5000 + ":1:00", f"-{10**17}:1:00", "1:1:" + "00" * 17),
    ],
)
def test_a_cursor_without_a_position_is_rejected(organization_id: ObjectId, value: Any) -> None:
    from documents.storage.pagination import encode_cursor

    bob = busy(organization_id, emails=3)
    with pytest.raises(InvalidCursor):
        list_timeline(bob, cursor=encode_cursor(["timeline", value, bob.id]))
