"""A backlog of shared posts, or a bad one, delays no organization. No backlog delays routing."""

import threading
import time
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config.observability.metrics import SHARED_ITEMS
from documents.concurrency import retries
from documents.concurrency.mutex import name_organization_turn, take_turn
from documents.privacy import retention
from documents.reports.health import measure_service_health
from documents.settling.failed_job import FailedJob
from documents.shared_accounts import owners, routing
from documents.shared_accounts.owners import make_plan
from documents.shared_accounts.plan import plan_routes
from documents.shared_accounts.shared_post import SharedPost
from documents.storage.transaction import in_transaction
from documents.values.time import now
from jobs.sweep import iterate_due_groups, sweep_due_records
from jobs.tasks import wake_tally
from matchback.engine import Tx
from service.metrics.stored import StoredCollector
from tests.integration.documents.shared_accounts.conftest import Deliver, count_deliveries
from tests.integration.documents.shared_accounts.test_routing import AT, opens
from tests.integration.documents.shared_accounts.test_shared_privacy import SOON
from tools.testbed.cast import UNKNOWN_ID, University, make_event
from tools.testbed.settled import settle_all


def test_a_run_ends_in_time_and_leaves_the_rest_to_the_next(
    alice: University, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = alice.email(alice.fundraiser())
    for number in range(6):
        deliver([make_event(email, "open", AT + number)])
    monkeypatch.setattr(routing, "POSTS_PER_BATCH", 2)
    monkeypatch.setattr(routing, "ROUTING_SECONDS", 0.01)

    def plan_slowly(*args: Any) -> Any:
        time.sleep(0.01)
        return make_plan(*args)

    monkeypatch.setattr(routing, "make_plan", plan_slowly)
    assert routing.route_posts("sendgrid", wake_tally) == 2
    assert get_db().shared_posts.count_documents({}) == 4
    settle_all()
    assert opens(alice, email) == 6


def test_a_backlog_of_shared_posts_does_not_hold_up_other_deliveries(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    """The groups of the sweep run in their own threads. Each is independent of routing."""
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    charlie.set_webhook_key()
    for number in range(20):
        deliver([make_event(hers, "open", AT + number)])
    charlie.deliver([make_event(his, "open", AT)])
    groups = dict(iterate_due_groups(now() - now()))
    groups["tally", ObjectId(charlie.id)]()
    assert opens(charlie, his) == 1
    assert get_db().shared_posts.count_documents({}) == 20
    settle_all()
    assert opens(alice, hers) == 20


def test_routing_waits_for_no_organizations_turn(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    settle_all()
    deliver([make_event(hers, "open", AT), make_event(his, "open", AT)])
    held, routed = threading.Event(), threading.Event()

    def hold_turn(tx: Tx) -> None:
        take_turn(tx, name_organization_turn(ObjectId(alice.id)))
        held.set()
        assert routed.wait(20)

    holder = threading.Thread(target=in_transaction, args=(hold_turn,))
    holder.start()
    held.wait()
    assert routing.route_posts("sendgrid", wake_tally) == 1
    assert count_deliveries(alice) == count_deliveries(charlie) == 1
    routed.set()
    holder.join()
    settle_all()
    assert (opens(alice, hers), opens(charlie, his)) == (1, 1)


def test_a_post_that_cannot_be_routed_stops_no_other_and_becomes_a_failed_job(
    alice: University, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = alice.email(alice.fundraiser())
    for number in range(5):
        deliver([make_event(email, "open", AT + number)])
    bad = get_db().shared_posts.find()[2]["_id"]

    def fail(provider: str, body: bytes, find: Any, **more: Any) -> Any:
        if str(AT + 2).encode() in body:
            raise ZeroDivisionError
        return plan_routes(provider, body, find, **more)

    monkeypatch.setattr(owners, "plan_routes", fail)
    settle_all()
    assert opens(alice, email) == 4
    for _ in range(retries.MAX_ATTEMPTS):
        get_db().shared_posts.update_many({}, {"$unset": {"trouble.retry_at": ""}})
        sweep_due_records()
    assert [job.id for job in FailedJob.page(None, 10)] == [bad]
    assert FailedJob.page(ObjectId(alice.id), 10) == []
    assert alice.call("GET", f"/v1/jobs/failed/{bad}").status == 404
    assert retention.drop_shared_posts(SOON) == 0
    monkeypatch.undo()
    FailedJob.fetch(None, str(bad)).retry()
    settle_all()
    assert opens(alice, email) == 5


def test_a_large_post_is_routed_alone(deliver: Deliver) -> None:
    rows: list[Any] = [{"_id": n, "items": 1, "size": size} for n, size in enumerate((9, 9, 9))]
    assert len(routing.choose_posts(rows)) == 3
    rows[1]["size"] = routing.BYTES_PER_BATCH
    assert [row["_id"] for row in routing.choose_posts(rows)] == [0]
    assert [row["_id"] for row in routing.choose_posts(rows[1:])] == [1]
    rows[0]["items"] = routing.ITEMS_PER_BATCH
    assert [row["_id"] for row in routing.choose_posts(rows)] == [0]


def test_metrics_and_status_show_shared_posts(alice: University, deliver: Deliver) -> None:
    def counted(fate: str) -> float:
        return float(SHARED_ITEMS.labels("sendgrid", fate)._value.get())

    before = {fate: counted(fate) for fate in ("routed", "unknown_email")}
    email = alice.email(alice.fundraiser())
    settle_all()
    deliver([make_event(email, "open", AT), make_event(UNKNOWN_ID, "open", AT)])
    due = {one.kind: one.count for one in measure_service_health().due}
    assert due["shared_posts"] == 1
    stored = {
        (sample.name, sample.labels.get("kind")): sample.value
        for metric in StoredCollector().collect()
        for sample in metric.samples
    }
    assert stored["matchback_due", "shared_posts"] == 1
    assert stored["matchback_failed_jobs", "shared_posts"] == 0
    settle_all()
    SharedPost.objects.update(look_again_at=now())
    settle_all()
    assert counted("routed") - before["routed"] == 1
    assert counted("unknown_email") - before["unknown_email"] == 1
    assert measure_service_health().posts.unrouted_items == 1


def test_saves_wake_workers(
    alice: University, deliver: Deliver, wakeups: list[tuple[str, str]]
) -> None:
    email = alice.email(alice.fundraiser())
    wakeups.clear()
    deliver([make_event(email, "open", AT)])
    ((job, post_id),) = wakeups
    assert job == "route_shared_post"
    wakeups.clear()
    routing.route_named_posts([ObjectId(post_id)], wake_tally)
    delivery = get_db().deliveries.find_one()
    assert delivery
    assert wakeups == [("tally_delivery", str(delivery["_id"]))]
