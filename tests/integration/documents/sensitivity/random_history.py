"""A random history of gifts and emails, which any number of universities can repeat exactly."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.sweep import sweep_due_records
from tools.testbed.cast import University, make_event

DONORS = [{"name": f"Donor {n}", "email": f"donor{n}@example.edu"} for n in range(5)]
FIRST_DAY = datetime(2026, 9, 20, tzinfo=UTC)
DAYS = 60
CURRENCIES = ["USD", "USD", "EUR"]
STATUSES = ["succeeded", "failed", "disputed", "refunded", "succeeded"]
EVENT_TYPES = ["processed", "delivered", "open", "click", "click", "bounce", "dropped"]


class RandomHistory:
    """Random acts at a university with two fundraisers. Equal seeds give equal acts."""

    def __init__(self, alice: University, seed: int) -> None:
        self.alice = alice
        self.chance = random.Random(seed)
        self.fundraisers = [alice.fundraiser(name) for name in ("Spring", "Autumn")]
        self.mailings = [(one, alice.mailing(one)) for one in self.fundraisers * 3]
        self.emails: list[str] = []
        self.gifts: list[str] = []
        self.events = 0
        for _ in range(20):
            self.send()
        self.acts: list[Callable[[], None]] = [
            *[self.give] * 8,
            *[self.send, self.report] * 4,
            *[self.change, self.refund, self.pin] * 2,
            *(self.delete_gift, self.delete_email, self.move_address),
        ]

    def run(self, steps: int) -> None:
        """Act, and settle at some times."""
        for _ in range(steps):
            self.chance.choice(self.acts)()
            if self.chance.random() < 0.3:
                settle()
        settle()

    def any_time(self) -> datetime:
        return FIRST_DAY + timedelta(minutes=self.chance.randrange(DAYS * 24 * 60))

    def any_day(self) -> str:
        """Return a time that other records may have, too."""
        days = self.chance.randrange(DAYS)
        return f"{FIRST_DAY + timedelta(days=days):%Y-%m-%dT00:00:00Z}"

    def call(self, method: str, path: str, body: Any = None) -> None:
        assert self.alice.call(method, path, body).status in (200, 204, 409, 422)

    def send(self) -> None:
        fundraiser, mailing = self.chance.choice(self.mailings)
        fields: dict[str, Any] = {"mailing_id": mailing, "sent_at": self.any_day()}
        if self.chance.random() < 0.2:
            fields["sent_at"] = None  # an event may report it
        self.emails.append(self.alice.email(fundraiser, self.chance.choice(DONORS), **fields))

    def give(self) -> None:
        fields: dict[str, Any] = {"donated_at": self.any_day()}
        if self.chance.random() < 0.2:
            fields["email_id"] = self.chance.choice(self.emails)
        if self.chance.random() < 0.2:
            fields["recurring_id"] = self.chance.choice(["plan", "other plan"])
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
        email = self.chance.choice([*self.emails, None])
        if self.chance.random() < 0.6:
            self.call("PUT", path, {"email_id": email})
        else:
            self.call("DELETE", path)

    def delete_gift(self) -> None:
        if self.gifts:
            gift = self.gifts.pop(self.chance.randrange(len(self.gifts)))
            self.call("DELETE", f"/v1/donations/{gift}")

    def delete_email(self) -> None:
        email = self.emails.pop(self.chance.randrange(len(self.emails)))
        self.call("DELETE", f"/v1/emails/{email}")

    def report(self) -> None:
        self.events += 1
        at = int(self.any_time().timestamp()) + self.events
        type_, email = self.chance.choice(EVENT_TYPES), self.chance.choice(self.emails)
        self.alice.deliver([make_event(email, type_, at, sg_event_id=f"{self.events}")])

    def move_address(self) -> None:
        user = self.alice.get(f"/v1/emails/{self.chance.choice(self.emails)}")["user_id"]
        address = f"donor{self.chance.randrange(7)}@example.edu"
        self.call("PATCH", f"/v1/users/{user}", {"email": address})


def settle() -> None:
    while sweep_due_records():
        pass
