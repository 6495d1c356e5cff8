"""Tallying on the real server: an event counts once, even if it is sent repeatedly."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.settling import settle as settling
from documents.tracking import ingest, reader
from jobs.sweep import sweep_due_records
from jobs.tasks import build_settling_policy
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def test_events_count_on_their_email_and_in_reports(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=None)
    alice.deliver(
        [
            make_event(email, "click", AT + 40),
            make_event(email, "open", AT + 30),
            make_event(email, "open", AT + 20),
            make_event(email, "open", AT + 10, sg_machine_open=True),
            make_event(email, "delivered", AT + 2),
            make_event(email, "processed", AT),
            make_event(email, "unsubscribe", AT + 50),
        ]
    )
    settle_all()
    found = alice.get(f"/v1/emails/{email}")
    assert (found["opens"], found["clicks"], found["machine_opens"]) == (2, 1, 1)
    assert found["sent_at"] == "2023-11-14T22:13:20Z"
    assert found["delivered_at"] == "2023-11-14T22:13:22Z"
    assert found["first_opened_at"] == "2023-11-14T22:13:40Z"
    assert found["last_opened_at"] == "2023-11-14T22:13:50Z"
    assert found["first_clicked_at"] == found["last_clicked_at"] == "2023-11-14T22:14:00Z"
    expected = {
        "sent": 1,
        "delivered": 1,
        "bounced": 0,
        "dropped": 0,
        "opened": 1,
        "opens": 2,
        "machine_opens": 1,
        "clicked": 1,
        "clicks": 1,
        "unsubscribed": 1,
        "spam_reported": 0,
        "donated": 0,
    }
    assert alice.report(spring)["emails"] == expected
    report = alice.get(f"/v1/mailings/{mailing}/report")
    assert report["emails"] == expected
    assert report["rates"] == {
        "delivery": 1.0,
        "open": 1.0,
        "click": 1.0,
        "click_to_open": 1.0,
        "conversion": 0.0,
    }


def test_repetitions_count_once_even_under_new_ids_and_in_one_post(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    opened = make_event(email, "open", AT)
    assert alice.deliver([opened, opened, make_event(email, "click", AT)]).status == 202
    alice.deliver([opened | {"sg_event_id": "new"}])
    without_id = {name: value for name, value in opened.items() if name != "sg_event_id"}
    alice.deliver([without_id, make_event(email, "open", AT + 1)])
    settle_all()
    found = alice.get(f"/v1/emails/{email}")
    assert (found["opens"], found["clicks"]) == (2, 1)


def test_an_event_identified_only_by_its_id_counts_once(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "open", AT, sg_event_id="one")])
    alice.deliver([make_event(email, "open", AT + 5, sg_event_id="one")])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1


def test_invalid_events_block_no_other_and_are_kept(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    answer = alice.deliver(
        [
            None,
            7,
            {"event": "open"},
            make_event(email, "open", AT),
            make_event(email, "from_the_future", AT),
            make_event(UNKNOWN_ID, "open", AT),
            make_event("garbage", "open", AT),
            make_event(email, "open", AT + 1, sg_message_id=None) | {"email_id": {"$ne": 1}},
        ]
    )
    assert (answer.status, answer.json) == (202, {"accepted": 8})
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    delivery = get_db().deliveries.find_one()
    assert delivery
    assert [one["index"] for one in delivery["refused"]] == [0, 1, 2]
    assert (delivery["counted_events"], delivery["unmatched_events"]) == (2, 3)


NO_JSON_REASON = "the body is neither a JSON array nor a JSON object"


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"[" * 5000, b"null"])
def test_a_body_without_items_is_stored_and_reported(alice: University, body: bytes) -> None:
    answer = alice.deliver(None, body=body)
    assert (answer.status, answer.json) == (202, {"accepted": 1})
    settle_all()
    delivery = get_db().deliveries.find_one()
    assert delivery
    assert delivery["refused"] == [{"index": 0, "reason": NO_JSON_REASON}]


def test_events_about_another_organizations_emails_change_nothing(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    charlie.set_webhook_key()
    email = alice.email(alice.fundraiser())
    assert charlie.deliver([make_event(email, "open", AT)]).status == 202
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0
    alice.deliver([make_event(email, "open", AT)])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1


def test_many_sweeps_at_once_count_once(alice: University) -> None:
    """Threads of one process share their work; the transactions keep processes apart."""
    spring = alice.fundraiser()
    emails = [alice.email(spring) for _ in range(5)]
    for _ in range(20):
        alice.deliver(
            [make_event(email, "open", AT + second) for email in emails for second in (0, 1)]
        )
    sweeps = [threading.Thread(target=sweep_due_records) for _ in range(6)]
    for thread in sweeps:
        thread.start()
    for thread in sweeps:
        thread.join()
    settle_all()
    assert alice.report(spring)["emails"]["opens"] == 10


def test_a_gift_does_not_wait_until_all_events_are_counted(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events take several turns, and the gift gets the second turn at the latest."""
    monkeypatch.setattr(reader, "DELIVERIES_PER_BATCH", 1)
    spring = alice.fundraiser()
    email = alice.email(spring)
    settle_all()
    posts = 300
    for number in range(posts):
        alice.deliver([make_event(email, "open", AT + number)])
    counting = threading.Thread(
        target=ingest.tally_organization, args=(ObjectId(alice.id), build_settling_policy().clicks)
    )
    counting.start()
    due = {"due": {"$type": "date"}}
    while get_db().deliveries.count_documents(due) == posts:
        pass
    gift = alice.gift(spring, email_id=email)
    settling.settle_fundraiser(ObjectId(spring), build_settling_policy())
    left = get_db().deliveries.count_documents(due)
    assert alice.get(f"/v1/donations/{gift}")["match"] == "link"
    assert left > 0
    counting.join(60)
    settle_all()
    assert alice.report(spring)["emails"]["opens"] == posts


def test_an_email_counted_after_its_event_still_finds_its_gift(
    alice: University,
) -> None:
    alice.email(alice.fundraiser("Autumn"))  # creates Bob's user
    spring = alice.fundraiser()
    gift = alice.gift(spring)
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["match"] == "none"
    email = alice.email(spring, sent_at=YESTERDAY)
    alice.deliver([make_event(email, "delivered", int(time.time()))])
    ingest.tally_organization(ObjectId(alice.id), build_settling_policy().clicks)
    settle_all()
    found = alice.get(f"/v1/donations/{gift}")
    assert (found["match"], found["email_id"]) == ("address", email)


def test_an_event_of_a_due_email_counts_when_the_email_is_settled(
    alice: University,
) -> None:
    """Counting the event must not take the email's mark, because its settling does more."""
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.deliver([make_event(email, "open", AT)])
    ingest.tally_organization(ObjectId(alice.id), build_settling_policy().clicks)
    row = get_db().emails.find_one({"_id": ObjectId(email)})
    assert row is not None
    assert (row["opens"], "due" in row, row["counted"]) == (1, True, [])
    settle_all()
    assert alice.report(spring)["emails"]["opens"] == 1
    alice.deliver([make_event(email, "open", AT + 1)])
    ingest.tally_organization(ObjectId(alice.id), build_settling_policy().clicks)
    assert alice.report(spring)["emails"]["opens"] == 2  # it is not due, so nothing has to wait
