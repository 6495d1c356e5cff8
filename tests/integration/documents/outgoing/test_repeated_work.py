"""Work that is repeated, done twice at once, or done again reports each change once."""

import threading
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.concurrency.drain import Drain
from documents.migrations.counting import count_settled_rows
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.recount import recount
from documents.recount.recount import repair_counter
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage.transaction import in_transaction
from documents.tracking.replay import replay_deliveries
from documents.values.time import now
from matchback.engine import Tx
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.reported import find_report_mistakes
from tools.testbed.settled import settle_all

SENT = "2026-11-01T00:00:00Z"
AT = 1_793_500_000
GIFTS = 40


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    WebhookEndpoint.add(ObjectId(alice.id), "https://crm.example.edu/hook")
    return alice


def count_events() -> int:
    count: int = get_db().event_deliveries.count_documents({})
    return count


def settle_beside(fundraiser_id: str, errors: list[BaseException]) -> None:
    """Settle as another worker, without waiting for the others of this process."""
    group = {"fundraiser_id": ObjectId(fundraiser_id)}
    try:
        for _ in range(30):
            drain = Drain(("test", None), 7)
            in_transaction(settling._settle, drain, group, SettlingPolicy())
    except BaseException as error:  # noqa: BLE001
        errors.append(error)


def test_two_workers_report_each_change_once(alice: University) -> None:
    """Both take the same gifts, so their transactions conflict and start again."""
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gifts = [alice.gift(spring, email_id=email) for _ in range(GIFTS)]
    errors: list[BaseException] = []
    workers = [threading.Thread(target=settle_beside, args=(spring, errors)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for gift in gifts[::3]:
        alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    late = alice.email(spring, sent_at="2026-11-02T00:00:00Z")
    alice.deliver([make_event(late, type_, AT) for type_ in ("click", "bounce")])
    for worker in workers:
        worker.join()
    settle_all()
    assert not [error for error in errors if not hasattr(error, "timeout")]
    assert find_report_mistakes() == []
    assert count_events() >= GIFTS + len(gifts[::3]) + 1


def test_a_new_policy_reports_each_gift_that_changes(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring, sent_at=SENT)
    for _ in range(GIFTS):
        alice.gift(spring, donated_at="2026-11-05T00:00:00Z")
    other = {"name": "Eve", "email": "eve@example.org"}
    alice.gift(spring, donor=other, email_id=alice.email(spring, other, sent_at=SENT))
    settle_all()
    assert count_events() == GIFTS + 1
    policy = {"window_seconds": 3600}
    assert alice.call("PUT", f"/v1/fundraisers/{spring}/match-policy", policy).status == 200
    get_db().donations.update_many({}, {"$set": {"due": now(), "rematch": True}})
    settle_all()
    assert find_report_mistakes() == []
    unmatched = {"type": "donation.unmatched"}
    assert get_db().event_deliveries.count_documents(unmatched) == GIFTS
    assert count_events() == 2 * GIFTS + 1


def test_replay_repair_and_recount_report_nothing(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gifts = [alice.gift(spring, email_id=email) for _ in range(3)]
    alice.call("PATCH", f"/v1/donations/{gifts[0]}", {"status": "disputed"})
    alice.call("PATCH", f"/v1/donations/{gifts[1]}", {"refunded_amount": 500})
    alice.deliver([make_event(email, type_, AT) for type_ in ("bounce", "unsubscribe", "open")])
    settle_all()
    before = count_events()
    list(replay_deliveries())
    settle_all()
    damage: list[tuple[str, dict[str, Any]]] = [
        ("donations", {"counted": []}),
        ("emails", {"counted": []}),
        ("emails", {"donations_count": 9}),
        ("fundraisers", {"raised": {"USD": 1}}),
    ]
    for name, fields in damage:
        get_db()[name].update_many({}, {"$set": fields})
        for _ in range(5):
            for drift in list(recount.find_drifts()):
                repair_counter(drift)
    settle_all()
    assert count_events() == before
    assert find_report_mistakes() == []


@pytest.mark.parametrize("status", ["succeeded", "refunded", "disputed"])
def test_a_migration_that_counts_old_gifts_again_reports_no_match(
    alice: University, status: str
) -> None:
    """The gifts are older than the endpoint, and lack the stored contribution."""
    endpoints = get_db().webhook_endpoints
    endpoints.update_many({}, {"$set": {"deleted_at": now()}})
    spring = alice.fundraiser()
    gift = alice.gift(spring, email_id=alice.email(spring, sent_at=SENT))
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": status})
    settle_all()
    endpoints.update_many({}, {"$unset": {"deleted_at": ""}})

    def migrate(tx: Tx) -> None:
        count_settled_rows(tx, "donations", list(tx.database.donations.find(session=tx.session)))

    in_transaction(migrate)
    assert count_events() == 0


def test_an_erased_person_is_not_reported(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    alice.gift(spring, email_id=email)
    alice.deliver([make_event(email, "bounce", AT)])
    settle_all()
    before = count_events()
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status == 204
    settle_all()
    assert find_report_mistakes() == []
    assert count_events() == before
    assert BOB["email"] not in str(list(get_db().event_deliveries.find()))
