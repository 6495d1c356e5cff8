"""Measure events per second from stored delivery to exact counters, in one thread.

The benchmark uses only what every version has (documents, and `sweep`). So it can compare two
versions on one machine, in turn.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bson import ObjectId

from documents.email_recording import record_email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.organization import Organization
from documents.user import User
from documents.webhook_delivery import WebhookDelivery
from jobs.sweep import sweep_due_records
from tools.testbed.cast import make_event
from tools.testbed.stack import run_servers

FIRST_EVENT_AT = 1_700_000_000
EMAIL_COUNT = 2000
EVENTS_A_POST = (100, 3)  # of a large mailing, and of a quiet day
ROUND_COUNT = 5


def prepare_mailing() -> tuple[ObjectId, list[str]]:
    """Create a mailing with its emails, all counted."""
    organization = Organization.create("Rates")
    fundraiser = Fundraiser.create(organization.id, {"name": "Spring"})
    values = {"fundraiser_id": fundraiser.id, "name": "Appeal"}
    mailing = Mailing.create(organization.id, values)
    user = User.create(organization.id, "Bob", "bob@example.edu")
    of = {"fundraiser_id": fundraiser.id, "mailing_id": mailing.id, "user_id": user.id}
    emails = [str(record_email(organization.id, of).id) for _ in range(EMAIL_COUNT)]
    while sweep_due_records():
        pass
    return organization.id, emails


def measure_round(
    organization_id: ObjectId, emails: list[str], number: int, events_a_post: int
) -> float:
    """Count one round, and return events per second.

    Each email has a delivery and two opens, and some have a click.
    """
    at = FIRST_EVENT_AT + number * 1000
    kinds = (("delivered", 0), ("open", 60), ("open", 90), ("click", 120))
    events = [
        make_event(email, kind, at + seconds, url="https://x.edu/give" if kind == "click" else None)
        for index, email in enumerate(emails)
        for kind, seconds in kinds
        if kind != "click" or index % 3 == 0
    ]
    for start in range(0, len(events), events_a_post):
        body = json.dumps(events[start : start + events_a_post]).encode()
        WebhookDelivery.receive(organization_id, "sendgrid", body)
    begun = time.perf_counter()
    while sweep_due_records():
        pass
    return len(events) / (time.perf_counter() - begun)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-rate") as folder, run_servers(Path(folder)):
        place = prepare_mailing()
        for of, events in enumerate(EVENTS_A_POST):
            numbers = range(of * ROUND_COUNT, (of + 1) * ROUND_COUNT)
            print_rates(events, [measure_round(*place, number, events) for number in numbers])
    sys.exit(0)


def print_rates(events_a_post: int, rates: list[float]) -> None:
    rounds = ", ".join(f"{rate:.0f}" for rate in rates)
    print(  # noqa: T201
        f"{events_a_post} events a post: {statistics.median(rates):.0f} events a second "
        f"(each round: {rounds})"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
