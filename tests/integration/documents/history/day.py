"""A random day of a university: gifts, refunds, emails, events, pins, and everything else."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mongoengine import get_db

from documents import gift_day, mailing
from documents.recount import recount
from documents.reports import past_report
from documents.values.time import truncate_to_milliseconds
from jobs.sweep import sweep_due_records
from matchback.engine import transaction
from tools.testbed.cast import University, make_event

DONORS = [{"name": f"Donor {n}", "email": f"donor{n}@example.edu"} for n in range(4)]
DAYS = [f"2026-11-{day:02}T0{day % 7}:50:00Z" for day in (1, 5, 9, 12, 20)]
CURRENCIES = ["USD", "USD", "EUR"]
STATUSES = ["succeeded", "failed", "disputed", "refunded"]
EVENT_TYPES = ["delivered", "open", "click", "bounce", "unsubscribe", "spamreport"]
FIRST_EVENT_SECOND = 1_793_500_000
# Modules that note or compare times of changes.
CLOCKED_MODULES = (transaction, past_report, gift_day, mailing)


class RandomDay:
    """Random acts at a university with two fundraisers, which its own clock dates."""

    def __init__(self, alice: University, patch: pytest.MonkeyPatch, seed: int) -> None:
        self.alice = alice
        self.at = truncate_to_milliseconds(datetime.now(UTC)) + timedelta(seconds=1)
        self.set_clock(patch)
        self.chance = random.Random(seed)
        self.fundraisers = [alice.fundraiser(name) for name in ("Spring", "Autumn")]
        self.mailings: list[tuple[str, str]] = []
        self.emails: list[str] = []
        self.gifts: list[str] = []
        self.number = 0
        self.repairs = 0
        self.send()
        self.spoil_counters()
        self.acts: list[Callable[[], None]] = [
            *[self.give] * 4,
            *[self.change, self.refund, self.pin, self.report] * 2,
            *(self.send, self.record_late_email, self.delete_gift, self.delete_email),
            *(self.move_address, self.alter_cost, self.repair),
        ]

    def set_clock(self, patch: pytest.MonkeyPatch) -> None:
        """Date everything by the clock of this day."""
        for module in CLOCKED_MODULES:
            patch.setattr(module, "now", lambda: self.at)

    def step(self) -> None:
        """Do something, and settle it some minutes later."""
        self.at += timedelta(seconds=self.chance.randrange(1, 3000))
        self.chance.choice(self.acts)()
        while sweep_due_records():
            pass

    def call(self, method: str, path: str, body: Any = None) -> None:
        assert self.alice.call(method, path, body).status in (200, 201, 202, 204, 409, 422)

    def send(self) -> None:
        fundraiser = self.chance.choice(self.fundraisers)
        cost = {"amount": 500, "currency": "USD"}
        made = self.alice.mailing(fundraiser, sent_at="2026-11-01T00:00:00Z", cost=cost)
        dated = {"$set": {"created_at": self.at, "journal_from": self.at}}
        get_db().mailings.update_many({"created_at": {"$lt": self.at}, "name": "Appeal"}, dated)
        get_db().mailings.update_many({"name": "Appeal"}, {"$set": {"name": "Sent"}})
        self.mailings.append((fundraiser, made))
        for _ in range(2):
            self.record_late_email()

    def record_late_email(self) -> None:
        fundraiser, made = self.chance.choice(self.mailings)
        fields = {"mailing_id": made, "sent_at": self.chance.choice(DAYS)}
        self.emails.append(self.alice.email(fundraiser, self.chance.choice(DONORS), **fields))

    def give(self) -> None:
        fields: dict[str, Any] = {"donated_at": self.chance.choice(DAYS)}
        if self.chance.random() < 0.4:
            fields["email_id"] = self.chance.choice(self.emails)
        if self.chance.random() < 0.2:
            fields["recurring_id"] = "plan"
        if self.chance.random() < 0.2:
            fields["status"] = "pending"
        fields["currency"] = self.chance.choice(CURRENCIES)
        amount, donor = self.chance.randrange(1, 9999), self.chance.choice(DONORS)
        fundraiser = self.chance.choice(self.fundraisers)
        self.gifts.append(self.alice.gift(fundraiser, amount, donor, **fields))

    def change(self) -> None:
        self.patch_gift({"status": self.chance.choice(STATUSES)})

    def refund(self) -> None:
        self.patch_gift({"refunded_amount": self.chance.randrange(0, 3000)})

    def patch_gift(self, fields: dict[str, Any]) -> None:
        if self.gifts:
            self.call("PATCH", f"/v1/donations/{self.chance.choice(self.gifts)}", fields)

    def pin(self) -> None:
        if not self.gifts:
            return
        path = f"/v1/donations/{self.chance.choice(self.gifts)}/match"
        if self.chance.random() < 0.6:
            self.call("PUT", path, {"email_id": self.chance.choice([*self.emails, None])})
        else:
            self.call("DELETE", path)

    def delete_gift(self) -> None:
        if self.gifts:
            gift = self.chance.choice(self.gifts)
            self.gifts.remove(gift)
            self.call("DELETE", f"/v1/donations/{gift}")

    def delete_email(self) -> None:
        if len(self.emails) > 1:
            email = self.chance.choice(self.emails)
            self.emails.remove(email)
            self.call("DELETE", f"/v1/emails/{email}")

    def report(self) -> None:
        self.number += 1
        type_, at = self.chance.choice(EVENT_TYPES), FIRST_EVENT_SECOND + self.number
        self.alice.deliver([make_event(self.chance.choice(self.emails), type_, at)] * 2)

    def move_address(self) -> None:
        user = self.chance.choice(list(get_db().users.find({"deleted_at": None})))
        address = f"donor{self.chance.randrange(6)}@example.edu"
        self.call("PATCH", f"/v1/users/{user['_id']}", {"email": address})

    def alter_cost(self) -> None:
        _, made = self.chance.choice(self.mailings)
        cost = {"amount": self.chance.randrange(1, 999), "currency": self.chance.choice(CURRENCIES)}
        self.call("PATCH", f"/v1/mailings/{made}", {"cost": cost})

    def spoil_counters(self) -> None:
        """Make counters incorrect before the first report, so that their repair is a change."""
        for name in ("raised.USD", "funnel.opened", "by_match.link.count"):
            get_db().fundraisers.update_many({}, {"$inc": {name: self.chance.randrange(1, 9)}})

    def repair(self) -> None:
        for drift in list(recount.find_drifts()):
            self.repairs += recount.repair_counter(drift)
