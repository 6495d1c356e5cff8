"""The scenarios of experiments: Bob takes part in the experiment of a second mailing."""

from mongoengine import get_db

from documents.storage.marks import DUE_FILTER
from jobs import tasks
from jobs.sweep import sweep_due_records
from tools.seams.scenarios import (
    SCENARIOS,
    Given,
    Scenario,
    change,
    make_gift_body,
    post_record,
    run_job,
)
from tools.testbed.cast import BOB, University

GIVEN = "2025-11-23T00:00:00Z"
ARMS = [{"name": "sent", "weight": 1}, {"name": "also sent", "weight": 1}]


def prepare_experiment(place: University, given: Given) -> None:
    """Settle a gift of Bob, and start no experiment yet."""
    given["tested"] = place.mailing(given["spring"], sent_at="2025-11-01T00:00:00Z")
    path = f"/v1/mailings/{given['tested']}/experiment"
    assert place.call("PUT", path, {"arms": ARMS, "window_days": 365}).status == 200
    given["gift"] = place.make("donations", **make_gift_body(given, donated_at=GIVEN))["id"]
    sweep_due_records()


def prepare_late_email(place: University, given: Given) -> None:
    prepare_experiment(place, given)
    given["new"] = place.email(given["spring"], BOB, mailing_id=given["tested"])


def prepare_participant(place: University, given: Given) -> None:
    prepare_late_email(place, given)
    while sweep_due_records():
        pass
    assert get_db().participants.count_documents({"raised.USD": 2500}) == 1


def prepare_refund(place: University, given: Given) -> None:
    prepare_participant(place, given)
    place.call("PATCH", f"/v1/donations/{given['gift']}", {"refunded_amount": 400})


def prepare_deleted_participant(place: University, given: Given) -> None:
    prepare_participant(place, given)
    place.call("DELETE", f"/v1/emails/{given['new']}")


def prepare_moved_window(place: University, given: Given) -> None:
    prepare_participant(place, given)
    path = f"/v1/mailings/{given['tested']}"
    place.call("PATCH", path, {"sent_at": "2026-11-01T00:00:00Z"})
    assert get_db().mailings.count_documents(DUE_FILTER) == 1


EXPERIMENT_SCENARIOS = {
    "POST /v1/emails, experiment": Scenario(
        prepare_experiment,
        post_record(
            "emails",
            lambda given: {
                "fundraiser_id": given["spring"],
                "mailing_id": given["tested"],
                "user": BOB,
            },
            Idempotency_Key="email-1",
        ),
        True,
        2500,
        1,
    ),
    "DELETE /v1/emails, experiment": Scenario(
        prepare_participant, change("DELETE", "/v1/emails/{new}"), True, 2500, 1
    ),
    "count_email, experiment": Scenario(
        prepare_late_email, run_job(tasks.count_email, "new"), False, 2500, 1
    ),
    "count_email, deleted from an experiment": Scenario(
        prepare_deleted_participant, run_job(tasks.count_email, "new"), False, 2500, 1
    ),
    "update_email_donation, experiment": Scenario(
        prepare_refund, run_job(tasks.update_email_donation, "gift"), False, 2100, 1
    ),
    "sweep, moved window": Scenario(
        prepare_moved_window,
        lambda place, given: [sweep_due_records() for _ in range(4)],
        False,
        2500,
        1,
    ),
}
ALL_SCENARIOS = SCENARIOS | EXPERIMENT_SCENARIOS
