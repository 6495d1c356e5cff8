"""Bounces that name only an address, on the real server, in any order of arrival."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.event import Event
from documents.migrations.indexes import update_indexes
from documents.storage.transaction import in_transaction
from documents.tracking import recent_emails, replay, unmatched
from documents.tracking.recent_emails import RecentEmails
from documents.values.time import now
from matchback.engine import Tx
from tests.rows import event_row
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_764_000_000  # 2025-11-24T16:00:00Z
HOUR = 3600
EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    charlie.set_webhook_key()
    return charlie


def hours_before(hours: float) -> str:
    return datetime.fromtimestamp(AT - hours * HOUR, UTC).isoformat()


def bare(at: float = AT, type_: str = "bounce", **more: Any) -> dict[str, Any]:
    """Return an event as SendGrid reports an asynchronous bounce."""
    told = {**make_event("none", type_, at), "type": "bounce"}
    return {name: told[name] for name in told.keys() - {"email_id", "sg_message_id"}} | more


def bounced(alice: University, *emails: str) -> list[bool]:
    settle_all()
    return [alice.get(f"/v1/emails/{email}")["bounced_at"] is not None for email in emails]


def tie_of_bounce() -> tuple[str | None, str | None]:
    event = Event.objects(type="bounce").get()
    return event.tied_by, str(event.email_id) if event.email_id else None


def test_a_bounce_belongs_to_the_only_recent_email(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    old, recent = (
        alice.email(spring, mailing_id=mailing, sent_at=hours_before(hours)) for hours in (100, 5)
    )
    other = alice.email(spring, user=EVE, sent_at=hours_before(5))
    alice.deliver([bare(email=" <BOB@Example.EDU>")])
    assert bounced(alice, old, recent, other) == [False, True, False]
    assert tie_of_bounce() == ("only_recent_email", recent)
    assert alice.get(f"/v1/emails/{recent}")["bounced_at"] == "2025-11-24T16:00:00Z"
    for path in (f"/v1/fundraisers/{spring}/report", f"/v1/mailings/{mailing}/report"):
        assert alice.get(path)["emails"]["bounced"] == 1
    report = alice.report(spring)
    assert report["unmatched_events"]["in_organization"] == 0
    row = get_db().events.find_one({"type": "bounce"}) or {}
    assert not row.keys() & {"address", "unmatched", "due", "category", "names_email"}
    delivery = get_db().deliveries.find_one() or {}
    assert (delivery["counted_events"], delivery["unmatched_events"]) == (1, 0)


def test_a_block_is_counted_as_a_block(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=hours_before(5))
    alice.deliver([bare(type="blocked")])
    assert bounced(alice, email) == [True]
    assert alice.get(f"/v1/emails/{email}")["blocked_at"] == "2025-11-24T16:00:00Z"
    assert alice.report(spring)["delivery"]["blocked"] == 1


def test_every_order_of_arrival_ties_the_bounce(alice: University) -> None:
    """Each order of the user, the email, its delivery without an ID, and the bounce."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    emails: dict[tuple[str, ...], str] = {}

    def act(step: str, order: tuple[str, ...]) -> None:
        who = {"name": "Bob", "email": f"{'-'.join(order)}@example.edu"}
        of: dict[str, Any] = {"email": who["email"].upper(), "sg_event_id": f"{order} {step}"}
        match step:
            case "user":
                alice.call("POST", "/v1/users", who)
            case "email":
                fields = {"mailing_id": mailing, "sent_at": hours_before(5)}
                emails[order] = alice.email(spring, user=who, **fields)
            case "delivered":
                alice.deliver([bare(AT - HOUR, "delivered", category=mailing, **of)])
            case "bounce":
                alice.deliver([bare(**of)])

    orders = list(itertools.permutations(["user", "email", "delivered", "bounce"]))
    for number in range(4):
        for order in orders:
            act(order[number], order)
        settle_all()
    for order in orders:
        found = alice.get(f"/v1/emails/{emails[order]}")
        assert found["bounced_at"] == "2025-11-24T16:00:00Z", order
        assert found["delivered_at"] == "2025-11-24T15:00:00Z", order
    assert Event.objects(tied_by="only_recent_email").count() == len(orders)
    assert alice.report(spring)["emails"]["bounced"] == len(orders)


@pytest.mark.parametrize("first", ["bounce", "emails"])
def test_a_bounce_with_two_recent_emails_stays_unmatched(alice: University, first: str) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    if first == "bounce":
        alice.deliver([bare()])
        settle_all()
    emails = [alice.email(of, sent_at=hours_before(5)) for of in (spring, autumn)]
    if first == "emails":
        settle_all()
        alice.deliver([bare()])
    assert bounced(alice, *emails) == [False, False]
    assert alice.report(spring)["unmatched_events"]["in_organization"] == 1


def test_an_email_recorded_after_the_tie_changes_no_figure(alice: University) -> None:
    spring = alice.fundraiser()
    first = alice.email(spring, sent_at=hours_before(5))
    alice.deliver([bare()])
    assert bounced(alice, first) == [True]
    second = alice.email(spring, sent_at=hours_before(3))
    assert bounced(alice, first, second) == [True, False]
    assert alice.report(spring)["emails"]["bounced"] == 1
    assert sum(replay.replay_deliveries()) == 1
    assert bounced(alice, first, second) == [True, False]
    # The next bounce has two candidates.
    alice.deliver([bare(AT + HOUR)])
    assert bounced(alice, first, second) == [True, False]
    assert alice.report(spring)["unmatched_events"]["in_organization"] == 1


def test_a_repeated_bounce_counts_once(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=hours_before(5))
    post = [bare(), bare(sg_event_id="new"), bare()]
    for _ in range(2):
        alice.deliver(post)
        settle_all()
    assert sum(replay.replay_deliveries()) == 2
    assert bounced(alice, email) == [True]
    assert alice.report(spring)["emails"]["bounced"] == 1
    assert get_db().events.count_documents({}) == 1


def test_other_events_stay_unmatched(alice: University) -> None:
    """A drop or a spam report is not guessed, and nor is a bounce that names more."""
    spring = alice.fundraiser()
    appeal = alice.mailing(spring)
    email = alice.email(spring, sent_at=hours_before(5))
    gone = alice.email(spring, sent_at=hours_before(5))
    settle_all()
    alice.call("DELETE", f"/v1/emails/{gone}")
    types = ("dropped", "spamreport", "open", "unsubscribe", "delivered", "deferred")
    alice.deliver([bare(AT, type_) for type_ in types])
    alice.deliver(
        [
            bare(AT + 1, sg_message_id="unknown"),
            bare(AT + 2, email_id=gone),
            bare(AT + 3, email_id=UNKNOWN_ID),
            bare(AT + 4, email_id="garbage"),
            bare(AT + 5, category=appeal),
            bare(AT + 6, email="bob+news@example.edu"),
            bare(AT + 7, email=""),
        ]
    )
    settle_all()
    assert alice.report(spring)["unmatched_events"]["in_organization"] == len(types) + 7
    assert bounced(alice, email) == [False]
    # A category that names no mailing is a tag, as senders use it.
    alice.deliver([bare(AT + 8, category="newsletter")])
    assert bounced(alice, email) == [True]


def test_another_universitys_emails_do_not_matter(alice: University, charlie: University) -> None:
    email = alice.email(alice.fundraiser(), sent_at=hours_before(5))
    theirs = charlie.email(charlie.fundraiser(), sent_at=hours_before(5))
    charlie.deliver([bare()])
    settle_all()
    assert bounced(charlie, theirs) == [True]
    assert bounced(alice, email) == [False]
    alice.deliver([bare(AT + 1)])
    assert bounced(alice, email) == [True]


def test_deleted_and_dropped_emails_did_not_go_out(alice: University) -> None:
    spring = alice.fundraiser()
    email, deleted, dropped = (alice.email(spring, sent_at=hours_before(5)) for _ in range(3))
    settle_all()
    alice.call("DELETE", f"/v1/emails/{deleted}")
    alice.deliver([make_event(dropped, "dropped", AT - 4 * HOUR)])
    settle_all()
    alice.deliver([bare()])
    assert bounced(alice, email, dropped) == [True, False]


def test_deleting_the_other_email_ties_the_bounce(alice: University) -> None:
    spring = alice.fundraiser()
    email, other = (alice.email(spring, sent_at=hours_before(5)) for _ in range(2))
    alice.deliver([bare()])
    assert bounced(alice, email, other) == [False, False]
    alice.call("DELETE", f"/v1/emails/{other}")
    assert bounced(alice, email) == [True]
    assert alice.report(spring)["unmatched_events"]["in_organization"] == 0


def test_deleting_the_bounced_email_takes_its_bounce_back(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=hours_before(5))
    alice.deliver([bare()])
    assert bounced(alice, email) == [True]
    alice.call("DELETE", f"/v1/emails/{email}")
    settle_all()
    again = alice.email(spring, sent_at=hours_before(4))
    assert bounced(alice, again) == [False]  # the bounce stays with the deleted email
    assert alice.report(spring)["emails"]["bounced"] == 0


def test_an_email_without_a_time_of_sending_went_when_it_was_recorded(alice: University) -> None:
    email = alice.email(alice.fundraiser(), sent_at=None)
    alice.deliver([bare(now().timestamp() + HOUR)])
    assert bounced(alice, email) == [True]


def test_only_the_users_current_address_counts(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=hours_before(5))
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    alice.call("PATCH", f"/v1/users/{user}", {"email": "bob@new.example.edu"})
    alice.deliver([bare()])
    assert bounced(alice, email) == [False]
    alice.deliver([bare(AT + 1, email="bob@new.example.edu")])
    assert bounced(alice, email) == [True]


def test_two_users_in_two_spellings_of_one_address_are_one_address(alice: University) -> None:
    """Earlier versions could store one person twice."""
    spring = alice.fundraiser()
    emails = [alice.email(spring, user=who, sent_at=hours_before(5)) for who in (BOB, EVE)]
    settle_all()
    earlier = {"email": "Bob <bob@example.edu>", "address": "bob <bob@example.edu>"}
    get_db().users.update_one({"address": EVE["email"]}, {"$set": earlier})
    alice.deliver([bare(email="Bob <bob@example.edu>")])
    assert bounced(alice, *emails) == [False, False]


def test_a_bounce_and_an_email_that_cross_are_tied_by_the_next_pass(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.deliver([bare()])
    settle_all()
    with monkeypatch.context() as patched:
        patched.setattr(unmatched, "find_events_to_addresses", lambda *args: [])
        email = alice.email(alice.fundraiser(), sent_at=hours_before(5))
        assert bounced(alice, email) == [False]
    _pass_interval(monkeypatch)
    assert bounced(alice, email) == [True]
    assert get_db().events.count_documents({"due": {"$type": "date"}}) == 0


def test_a_replay_ties_bounces_that_an_earlier_version_left(alice: University) -> None:
    email = alice.email(alice.fundraiser(), sent_at=hours_before(5))
    settle_all()
    left = {"email": BOB["email"], "event": "bounce", "timestamp": AT, "sg_message_id": "m"}
    alice.deliver([left])
    settle_all()
    get_db().events.update_one({}, {"$unset": {"message_id": "", "due": ""}})
    assert bounced(alice, email) == [False]
    assert sum(replay.replay_deliveries()) == 1
    assert bounced(alice, email) == [True]


def test_a_late_report_of_sending_is_taken_into_account(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The email was recorded with the planned time, and went out earlier."""
    email = alice.email(alice.fundraiser(), sent_at="2025-12-24T00:00:00Z")
    alice.deliver([bare()])
    assert bounced(alice, email) == [False]
    _pass_interval(monkeypatch)
    assert bounced(alice, email) == [False]
    monkeypatch.undo()
    alice.deliver([make_event(email, "processed", AT - HOUR)])
    assert bounced(alice, email) == [False]
    _pass_interval(monkeypatch)
    assert bounced(alice, email) == [True]


def _pass_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    later = now() + unmatched.UNMATCHED_RETRY_INTERVAL
    monkeypatch.setattr("jobs.sweep.now", lambda: later)
    monkeypatch.setattr(unmatched, "now", lambda: later)
    settle_all()


@pytest.mark.parametrize("tied", [True, False])
def test_erasure_removes_the_address_and_keeps_the_count(alice: University, tied: bool) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=hours_before(5))
    if not tied:
        alice.email(spring, sent_at=hours_before(4))
    alice.deliver([bare(), bare(AT + 1, email_id="bob@example.edu")])
    assert bounced(alice, email) == [tied]
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status == 204
    assert bounced(alice, email) == [tied]
    assert alice.report(spring)["emails"]["bounced"] == int(tied)
    assert alice.report(spring)["unmatched_events"]["in_organization"] == 0
    for name in ("events", "deliveries", "users", "messages"):
        assert "bob" not in str(list(get_db()[name].find())).lower()
    assert sum(replay.replay_deliveries()) == 1
    assert bounced(alice, email) == [tied]


def test_batches_without_such_bounces_read_nothing_more(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise AssertionError("a read that no event needs")

    email = alice.email(alice.fundraiser(), sent_at=hours_before(5))
    monkeypatch.setattr(RecentEmails, "_read_users", fail)
    alice.deliver([make_event(email, "bounce", AT), make_event("x", "open", AT), bare(AT, "open")])
    assert bounced(alice, email) == [True]


def test_the_read_is_bounded_by_the_period(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob received 300 emails of 3 fundraisers, and 2 of them recently."""
    user = ObjectId(alice.make("users", **BOB)["id"])
    fundraisers = [ObjectId() for _ in range(3)]
    sent = datetime(2025, 1, 1, tzinfo=UTC)
    of: dict[str, Any] = {"organization_id": ObjectId(alice.id), "user_id": user}
    rows = [
        {"_id": ObjectId(), **of, "fundraiser_id": fundraisers[number % 3], "sent_at": sent}
        for number in range(298)
    ]
    recent = datetime.fromtimestamp(AT - HOUR, UTC)
    rows += [
        {"_id": ObjectId(), **of, "fundraiser_id": ObjectId(), "sent_at": recent} for _ in "ab"
    ]
    get_db().emails.insert_many(rows)
    update_indexes()
    get_db().command("profile", 2)
    try:
        bounce = event_row(type="bounce", at=datetime.fromtimestamp(AT, UTC), address=BOB["email"])
        in_transaction(_read_recent, ObjectId(alice.id), bounce)
    finally:
        get_db().command("profile", 0)
    [read] = list(get_db()["system.profile"].find({"ns": {"$regex": r"\.emails$"}, "op": "query"}))
    assert read["docsExamined"] == 2
    assert read["keysExamined"] < 40


def _read_recent(tx: Tx, organization_id: ObjectId, bounce: Any) -> None:
    emails = RecentEmails(tx, organization_id)
    emails.read([bounce])
    assert emails.of(bounce) is None


def test_too_many_emails_for_one_read_tie_nothing(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_emails, "MAX_RECENT_EMAILS", 2)
    spring = alice.fundraiser()
    emails = [alice.email(spring, user=who, sent_at=hours_before(5)) for who in (BOB, EVE)]
    settle_all()
    alice.deliver([bare(), bare(AT + 1, email=EVE["email"])])
    assert bounced(alice, *emails) == [False, False]
    monkeypatch.undo()
    assert sum(replay.replay_deliveries()) == 1
    assert bounced(alice, *emails) == [True, True]
