"""Effects of events on their emails, on the real server, in any order of arrival."""

import itertools
import random
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.event import Event
from documents.tracking import unmatched
from documents.values.time import now
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://give.example.edu/spring"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def of(email: Any, *names: str) -> tuple[Any, ...]:
    return tuple(email[name] for name in names)


STORY: list[tuple[str, int, dict[str, Any]]] = [
    ("processed", 0, {}),
    ("deferred", 1, {}),
    ("delivered", 5, {}),
    ("open", 20, {}),
    ("click", 30, {"url": LINK}),
    ("click", 31, {"url": LINK + "/more"}),
    ("click", 32, {"url": LINK + "/faq"}),
    ("group_unsubscribe", 40, {"asm_group_id": 7}),
    ("group_resubscribe", 50, {"asm_group_id": 7}),
]


def told(alice: University, email: str) -> Any:
    """Return an email's engagement, without fields that differ between emails."""
    found = alice.get(f"/v1/emails/{email}")
    return {name: value for name, value in found.items() if not name.endswith("id")} | {
        "created_at": None,
        "updated_at": None,
        "link_token": None,
        "trap_token": None,
    }


def test_the_order_of_arrival_does_not_matter(alice: University) -> None:
    """Every order of five kinds, and random orders of all kinds, settled at random points."""
    spring = alice.fundraiser()
    chance = random.Random(1)
    core = [STORY[0], STORY[2], *STORY[4:7]]
    orders = [*itertools.permutations(core), *(chance.sample(STORY, 9) for _ in range(60))]
    expected: dict[int, Any] = {}
    emails = [(alice.email(spring, sent_at=None), order) for order in orders]
    for step in range(len(STORY)):
        for start in range(0, len(emails), 100):
            posts = [
                make_event(email, order[step][0], AT + order[step][1], **order[step][2])
                for email, order in emails[start : start + 100]
                if step < len(order)
            ]
            alice.deliver(posts)
        if step in (1, 2, 4, 7):
            settle_all()
    settle_all()
    for email, order in emails:
        found = told(alice, email)
        assert found == expected.setdefault(len(order), found), order
    assert of(expected[5], "clicks", "machine_clicks", "first_clicked_at") == (0, 3, None)


def test_every_type_has_its_effect(alice: University) -> None:
    spring = alice.fundraiser()
    kinds = (
        "processed deferred delivered bounce dropped open click spamreport unsubscribe "
        "group_unsubscribe group_resubscribe"
    ).split()
    emails = {kind: alice.email(spring, sent_at=None) for kind in [*kinds, "blocked"]}
    alice.deliver([make_event(emails[kind], kind, AT) for kind in kinds])
    alice.deliver([make_event(emails["blocked"], "bounce", AT, type="blocked")])
    settle_all()
    when = "2023-11-14T22:13:20Z"
    fields = {
        "processed": "sent_at",
        "deferred": "deferred_at",
        "delivered": "delivered_at",
        "bounce": "bounced_at",
        "blocked": "blocked_at",
        "dropped": "dropped_at",
        "open": "first_opened_at",
        "click": "first_clicked_at",
        "spamreport": "spam_reported_at",
        "unsubscribe": "unsubscribed_at",
        "group_unsubscribe": "unsubscribed_at",
        "group_resubscribe": "resubscribed_at",
    }
    for kind, field in fields.items():
        assert alice.get(f"/v1/emails/{emails[kind]}")[field] == when, kind
    report = alice.report(spring)
    figures = report["emails"]
    names = ("bounced", "dropped", "opened", "clicked", "spam_reported", "unsubscribed")
    assert of(figures, *names) == (2, 1, 2, 1, 1, 2)  # a click implies an open
    assert report["delivery"] == {"deferred": 1, "blocked": 1}


def test_unknown_types_are_kept_and_reported(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    odd = [make_event(email, kind, AT) for kind in ("from_the_future", "OPEN", "erased")]
    alice.deliver([*odd, *odd, make_event(email, "open", AT)])
    settle_all()
    report = alice.report(spring)
    assert (report["unknown_events"], report["emails"]["opens"]) == (3, 1)
    assert get_db().events.count_documents({"type": "from_the_future"}) == 1


def test_resubscribing_to_another_group_is_still_an_unsubscribe(alice: University) -> None:
    spring = alice.fundraiser()
    back, left, gone = (alice.email(spring) for _ in range(3))
    alice.deliver(
        [
            make_event(back, "group_unsubscribe", AT, asm_group_id=1),
            make_event(back, "group_resubscribe", AT + 9, asm_group_id=1),
            make_event(left, "group_unsubscribe", AT, asm_group_id=1),
            make_event(left, "group_resubscribe", AT + 9, asm_group_id=2),
            make_event(gone, "unsubscribe", AT),
            make_event(gone, "group_resubscribe", AT + 9, asm_group_id=1),
        ]
    )
    settle_all()
    assert alice.report(spring)["emails"]["unsubscribed"] == 2


def unnamed(type_: str, at: int, **more: Any) -> dict[str, Any]:
    """Return an event without an email_id and without a known message."""
    told = make_event("x", type_, at, **more)
    del told["email_id"]
    return {"sg_message_id": f"m-{type_}-{at}", **told} | more


@pytest.mark.parametrize("first", ["event", "message"])
def test_an_event_is_linked_by_its_message(alice: University, first: str) -> None:
    """Another event links the message to the email, earlier or later."""
    email = alice.email(alice.fundraiser())
    posts = [
        [unnamed("open", AT, sg_message_id="m1")],
        [make_event(email, "delivered", AT - 9, sg_message_id="m1")],
    ]
    for post in posts if first == "event" else reversed(posts):
        alice.deliver(post)
        settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    tied = Event.objects(type="open").get()
    assert (tied.tied_by, tied.unmatched, tied.due) == ("message", None, None)


def test_a_message_to_many_is_linked_by_address(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "delivered", AT, sg_message_id="m1")])
    alice.deliver([unnamed("open", AT, sg_message_id="m1", email="eve@example.edu")])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0


@pytest.mark.parametrize("category", ["id", "name", "names"])
@pytest.mark.parametrize("late", [False, True])
def test_an_event_is_linked_by_address_and_mailing(
    alice: University, category: str, late: bool
) -> None:
    """At once, or when the email is recorded."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, name="Appeal")
    alice.email(spring)  # to the same person, outside the mailing
    names = {"id": mailing, "name": "Appeal", "names": ["other", "Appeal"]}[category]
    opened = unnamed("open", AT, email="BOB@example.edu ", category=names)
    if late:
        alice.deliver([opened])
        settle_all()
        assert alice.report(spring)["unmatched_events"] == {"here": 1, "in_organization": 1}
        assert alice.get(f"/v1/mailings/{mailing}/report")["unmatched_events"]["here"] == 1
    email = alice.email(spring, mailing_id=mailing)
    if not late:
        alice.deliver([opened])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    report = alice.report(spring)
    assert (report["emails"]["opens"], report["unmatched_events"]["in_organization"]) == (1, 0)


def test_events_without_an_email_are_kept_and_reported(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring)
    alice.deliver([unnamed("open", AT), make_event(UNKNOWN_ID, "click", AT, email="x@x.edu")])
    settle_all()
    assert alice.report(spring)["unmatched_events"] == {"here": 0, "in_organization": 2}
    assert alice.report(spring)["emails"]["opens"] == 0


def test_another_universitys_email_is_never_linked(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    charlie.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring, mailing_id=alice.mailing(spring))
    alice.deliver([make_event(email, "delivered", AT, sg_message_id="m1")])
    charlie.deliver(
        [
            unnamed("open", AT, sg_message_id="m1"),
            unnamed("open", AT + 1, category="Appeal"),
            make_event(email, "open", AT + 2),
        ]
    )
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0


def test_an_event_and_email_that_cross_are_linked_by_the_next_pass(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither transaction saw the other's record.

    The test hides the events that the email would find.
    """
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    alice.deliver([unnamed("open", AT, category=mailing)])
    settle_all()
    with monkeypatch.context() as patched:
        patched.setattr(unmatched, "find_events_to_addresses", lambda *args: [])
        email = alice.email(spring, mailing_id=mailing)
        settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0
    later = now() + unmatched.UNMATCHED_RETRY_INTERVAL
    monkeypatch.setattr("jobs.sweep.now", lambda: later)
    monkeypatch.setattr(unmatched, "now", lambda: later)
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    assert get_db().events.count_documents({"due": {"$type": "date"}}) == 0


def test_more_late_events_than_one_transaction_takes_are_all_counted(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmatched, "TIED_EVENTS_PER_BATCH", 7)
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    alice.deliver([unnamed("open", AT + second, category=mailing) for second in range(30)])
    settle_all()
    email = alice.email(spring, mailing_id=mailing)
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 30


def test_a_large_post_takes_several_transactions(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.tracking.reader.EVENTS_PER_BATCH", 10)
    email = alice.email(alice.fundraiser())
    opens = [make_event(email, "open", AT + second // 2) for second in range(50)]
    alice.deliver([7, *opens, None])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 25
    delivery = get_db().deliveries.find_one()
    assert delivery
    names = ("counted_events", "repeated_events", "refused_events", "unmatched_events")
    assert of(delivery, *names) == (25, 25, 2, 0)
    assert [one["index"] for one in delivery["refused"]] == [0, 51]
    assert "next_item" not in delivery


def test_overlapping_posts_count_each_event_once(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    opens = [make_event(email, "open", AT + second) for second in range(20)]
    fresh = [{**one, "sg_event_id": f"new-{number}"} for number, one in enumerate(opens)]
    for post in (opens[:12], opens[8:], fresh[5:15], [*fresh[:3], *opens[:3], *fresh[:3]]):
        alice.deliver(post)
        settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 20


def test_clicks_by_machines_are_counted_separately(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    person, gateway = (alice.email(spring, mailing_id=mailing) for _ in range(2))
    alice.deliver(
        [
            make_event(person, "delivered", AT),
            make_event(person, "click", AT + 60, url=LINK),
            make_event(person, "click", AT + 61, url=LINK, useragent="python-requests/2.31"),
            make_event(gateway, "click", AT + 1, url=LINK),
            make_event(gateway, "click", AT + 9, url=LINK, useragent="Mimecast Scanner"),
        ]
    )
    settle_all()
    assert of(alice.get(f"/v1/emails/{gateway}"), "clicks", "machine_clicks") == (1, 1)
    alice.deliver([make_event(gateway, "delivered", AT + 2)])  # so the first click was too early
    settle_all()
    found = alice.get(f"/v1/emails/{gateway}")
    assert of(found, "clicks", "machine_clicks", "first_clicked_at") == (0, 2, None)
    report = alice.report(spring)
    assert of(report["emails"], "clicked", "clicks") == (1, 1)
    assert report["machines"] == {"opens": 0, "clicks": 3}
    alice.deliver([make_event(gateway, "delivered", AT)])  # the first click was not too early
    settle_all()
    found = alice.get(f"/v1/emails/{gateway}")
    assert of(found, "clicks", "machine_clicks") == (1, 1)
    assert found["first_clicked_at"] == found["last_clicked_at"] == "2023-11-14T22:13:21Z"


def test_a_burst_completed_later_removes_its_clicks(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, mailing_id=alice.mailing(spring))
    for number in range(3):
        alice.deliver([make_event(email, "click", AT + number, url=f"{LINK}/{number}")])
        settle_all()
        expected = (0, 3) if number == 2 else (number + 1, 0)
        assert of(alice.get(f"/v1/emails/{email}"), "clicks", "machine_clicks") == expected
    assert alice.report(spring)["emails"]["clicked"] == 0


def test_a_link_that_names_bob_is_stored_without_his_name(alice: University) -> None:
    """Stored links belong to the message, so they must not contain data of the recipient."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    people = [BOB, {"name": "Eve", "email": "eve@example.org"}]
    for number, person in enumerate(people):
        email = alice.email(spring, person, mailing_id=mailing)
        link = f"{LINK}?email_id={email}&utm_campaign=giving-day-2026"
        alice.deliver(
            [
                make_event(email, "click", AT + 60 + number, url=link),
                make_event(email, "click", AT + 90, url=link),
                make_event(email, "click", AT + 300, url=LINK + "/faq"),
            ]
        )
        if number == 1:
            settle_all()
            alice.call("DELETE", f"/v1/emails/{email}")
            doomed = email
    settle_all()
    assert doomed
    links = alice.get(f"/v1/mailings/{mailing}/links?sort=-clicks")["data"]
    assert [of(link, "url", "emails", "clicks") for link in links] == [
        (f"{LINK}?utm_campaign=giving-day-2026", 1, 2),
        (f"{LINK}/faq", 1, 1),
    ]
