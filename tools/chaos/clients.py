"""Clients that keep working, retry requests without a response, and remember the truth.

Each client owns its records. So its last response about a record is the truth.
"""

import contextlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from stripe import WebhookSignature

from documents.providers.sendgrid import SIGNATURE_HEADER
from documents.values.fields import format_time
from documents.values.time import now
from tools.chaos import importing
from tools.chaos.audited import Acts
from tools.testbed.cast import University, make_event, sign_webhook
from tools.testbed.stripe_events import STRIPE_SECRET, make_charge_event

FIRST_EVENT_AT = 1_700_000_000
MAX_EVENT_COPIES = 46
EVENT_TYPES = [*5 * ["open"], *3 * ["click"], "bounce", "unsubscribe"]
# Any other status is a defect.
EXPECTED_STATUSES = {200, 201, 202, 204, 503}
RETRY_TIMEOUT_SECONDS = 90
TAKEN_TEXT = "In an experiment, each user has one."


@dataclass
class ClientGift:
    """A client's knowledge of one of its gifts."""

    id: str
    currency: str
    amount: int
    refunded: int = 0
    status: str = "succeeded"
    deleted: bool = False
    told: int = 0
    fundraiser: str = ""
    payment: str = ""  # Stripe knows the gift by this, in place of an ID

    @property
    def net(self) -> int:
        counts = not self.deleted and self.status == "succeeded"
        return self.amount - self.refunded if counts else 0


@dataclass
class ClientTally:
    """Responses to all clients, in total."""

    requests: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class ChaosClient(threading.Thread):
    """One program of the university."""

    def __init__(
        self,
        number: int,
        place: University,
        urls: list[str],
        files: importing.ImportFiles,
        mailings: dict[str, str],
        seed: int,
    ) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number = number
        self.place = place
        self.tally = ClientTally()
        self.gifts: list[ClientGift] = []
        self.emails: dict[str, str] = {}  # ID: fundraiser
        self.deleted_emails: set[str] = set()
        self.mailings = mailings  # by fundraiser; each has an experiment
        self.held: dict[str, str] = {}  # like `emails`, of emails that must not be sent
        self.events: dict[str, set[tuple[str, int]]] = {}  # email: distinct events
        self.acts: Acts = Counter()  # acknowledged, so the audit log must contain them
        self.failure: BaseException | None = None
        self._urls = urls
        self.erased: dict[str, str] = {}  # user: the address that no record may hold
        self._files = files
        self._fundraisers = list(files.fundraisers)
        self._taken: set[str] = set()  # addresses of people who moved or were erased
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._serial = 0
        self._moved = ""
        self._copies: list[dict[str, Any]] = []
        self._http = httpx.Client(timeout=8)

    def run(self) -> None:
        deeds = [
            (6, self._give),
            (2, self._refund),
            (2, self._change),
            (1, self._delete_gift),
            (3, self._send_email),
            (1, self._delete_email),
            (4, self._deliver),
            (1, self._pin),
            (2, self._pay),
            (1, self._move),
            (1, self._describe_user),
            (1, self._import),
            (1, self._erase),
        ]
        weights, actions = zip(*deeds, strict=True)
        try:
            while not self._stopping.is_set():
                self._chance.choices(actions, weights)[0]()
            while self._copies:  # sends every event until it is acknowledged at least once
                self._deliver()
        except BaseException as error:  # noqa: BLE001
            self.failure = error
        finally:
            self._http.close()

    def stop(self) -> None:
        """Finish the current act, then stop."""
        self._stopping.set()

    def _give(self) -> None:
        fundraiser = self._chance.choice(self._fundraisers)
        mine = [id_ for id_, where in self.emails.items() if where == fundraiser]
        ref = self._chance.choice([*mine[-5:], *list(self.held)[-2:], "", "garbage"])
        number = self._next()
        body: dict[str, Any] = {
            "fundraiser_id": fundraiser,
            "amount": self._chance.randrange(1, 10_000),
            "currency": self._chance.choice(["USD", "USD", "EUR", "JPY"]),
            "donor": self._person(),
            "email_id": ref,
            "external_id": f"{self.number}-{number}",
        }
        if self._chance.random() < 0.3:
            late = timedelta(hours=self._chance.randrange(100))
            body["donated_at"] = format_time(now() - late)
        if self._chance.random() < 0.2:
            body["recurring_id"] = f"plan {self.number}.{self._chance.randrange(5)}"
        made = self._call("POST", "/v1/donations", body)
        self.gifts.append(ClientGift(made["id"], body["currency"], body["amount"]))
        if self._chance.random() < 0.2:
            again = self._call("POST", "/v1/donations", body)
            if again["id"] != made["id"]:
                self.tally.wrong.append("a repeated gift became another one")

    def _refund(self) -> None:
        gift = self._some_gift()
        if gift is None or gift.status != "succeeded":
            return
        gift.refunded = self._chance.randrange(gift.refunded, gift.amount + 1)
        self._call("PATCH", f"/v1/donations/{gift.id}", {"refunded_amount": gift.refunded})
        if gift.refunded == gift.amount:
            gift.status = "refunded"

    def _change(self) -> None:
        gift = self._some_gift()
        if gift is None or gift.status == "refunded":
            return
        gift.status = self._chance.choice(["succeeded", "disputed", "failed"])
        self._call("PATCH", f"/v1/donations/{gift.id}", {"status": gift.status})

    def _delete_gift(self) -> None:
        gift = self._some_gift()
        if gift is not None:
            self._call("DELETE", f"/v1/donations/{gift.id}")
            gift.deleted = True

    def _send_email(self) -> None:
        fundraiser = self._chance.choice(self._fundraisers)
        body: dict[str, Any] = {"fundraiser_id": fundraiser, "user": self._person()}
        if self._chance.random() < 0.6:
            body["mailing_id"] = self.mailings[fundraiser]
        key = {"Idempotency-Key": f"{self.number}-{self._next()}"}
        made = self._call("POST", "/v1/emails", body, key)
        if made is None:
            return  # the user has an email of this mailing
        if made["held_out"]:
            self.held[made["id"]] = fundraiser
            return
        self.emails[made["id"]] = fundraiser
        self.events[made["id"]] = set()

    def _delete_email(self) -> None:
        if len(self.emails) > 10:
            email = self._chance.choice(list(self.emails))
            del self.emails[email]
            self.deleted_emails.add(email)
            self._call("DELETE", f"/v1/emails/{email}")

    def _pay(self) -> None:
        """Post Stripe events about a new gift or a larger refund, some of them repeatedly."""
        paid = [gift for gift in self.gifts[-40:] if gift.payment and gift.status == "succeeded"]
        if paid and self._chance.random() < 0.5:
            gift = self._chance.choice(paid)
            gift.refunded = self._chance.randrange(gift.refunded, gift.amount + 1)
            gift.status = "refunded" if gift.refunded == gift.amount else "succeeded"
        else:
            amount = self._chance.randrange(1, 10_000)
            gift = ClientGift("", "USD", amount, payment=f"pi_{self.number}_{self._next()}")
            gift.fundraiser = self._chance.choice(self._fundraisers)
            self.gifts.append(gift)
        gift.told += 1
        who = self._person()
        told = make_charge_event(
            "refunded" if gift.refunded else "succeeded",
            gift.told,
            id=gift.payment.replace("pi", "ch"),
            payment_intent=gift.payment,
            amount=gift.amount,
            amount_captured=gift.amount,
            amount_refunded=gift.refunded,
            billing_details=who,
            metadata={"fundraiser_id": gift.fundraiser},
        )
        for _ in range(self._chance.choice([1, 1, 2, 3])):
            self._call("STRIPE", f"/v1/webhooks/stripe/{self.place.id}", told)

    def _pin(self) -> None:
        """Pin a gift to an email or to none, or remove its pin."""
        gift = self._some_gift()
        if gift is None or not self.emails:
            return
        email = self._chance.choice([*self.emails, None])
        path = f"/v1/donations/{gift.id}/match"
        if self._chance.random() < 0.5:
            self._call("PUT", path, {"email_id": email})
        else:
            self._call("DELETE", path)

    def _move(self) -> None:
        """Change a user's address, from which the user then gives."""
        if user := self._some_user():
            self._moved = f"m{self.number}.{self._next()}@example.edu"
            self._taken.add(user["email"])
            self._call("PATCH", f"/v1/users/{user['id']}", {"email": self._moved})

    def _describe_user(self) -> None:
        """Change a user's attributes, which later emails keep as segments."""
        if user := self._some_user():
            attributes = {"school": self._chance.choice(["Law", "Arts"])}
            self._call("PATCH", f"/v1/users/{user['id']}", {"attributes": attributes})

    def _erase(self) -> None:
        """Erase a user who never moved. No later request names this user."""
        user = self._some_user()
        if user and self._chance.random() < 0.3 and user["email"].startswith(f"p{self.number}."):
            self._taken.add(user["email"])
            self.erased[user["id"]] = user["email"]
            self._call("DELETE", f"/v1/users/{user['id']}?erase=true")
            if self._chance.random() < 0.3:
                self._call("DELETE", f"/v1/users/{user['id']}?erase=true")

    def _some_user(self) -> Any:
        """Return a user with an email who neither moved nor was erased, or None."""
        if not self.emails:
            return None
        email = self._call("GET", f"/v1/emails/{self._chance.choice(list(self.emails))}")
        if email["user_id"] in self.erased:
            return None
        user = self._call("GET", f"/v1/users/{email['user_id']}")
        return user if user["email"] not in self._taken else None

    def _import(self) -> None:
        """Import a new file of emails or another client's, sometimes cut off or sent twice."""
        file = self._files.latest()
        if not file or self._chance.random() < 0.5:
            file = self._files.new()
        body = self._files.body(file)
        if self._chance.random() < 0.4:
            with contextlib.suppress(OSError):
                url, sent = self._chance.choice(self._urls), self._chance.randrange(len(body))
                importing.cut_import(url, self.place.key, body, sent)
        for _ in range(self._chance.choice([1, 1, 2])):
            told = self._call("IMPORT", "/v1/emails/import", body)
            if told["created"] + told["found"] != importing.LINES_A_FILE or told["refused_count"]:
                self.tally.wrong.append(f"import {file}: {told}")
            self._files.acknowledged.add(file)

    def _deliver(self) -> None:
        """Post new events, 1 to 46 times each, among copies of earlier ones."""
        if not self._stopping.is_set():
            for email in self._chance.sample(list(self.emails), min(3, len(self.emails))):
                at, type_ = (
                    FIRST_EVENT_AT + self._next(),
                    self._chance.choice(EVENT_TYPES),
                )
                self.events[email].add((type_, at))
                copies = min(MAX_EVENT_COPIES, int(self._chance.paretovariate(1)))
                self._copies += [make_event(email, type_, at)] * copies
        self._chance.shuffle(self._copies)
        batch, self._copies = self._copies[:40], self._copies[40:]
        if batch:
            self._call("WEBHOOK", f"/v1/webhooks/sendgrid/{self.place.id}", batch)

    def _some_gift(self) -> ClientGift | None:
        standing = [gift for gift in self.gifts[-40:] if gift.id and not gift.deleted]
        return self._chance.choice(standing) if standing else None

    def _person(self) -> dict[str, str]:
        number = self._chance.randrange(30)
        if self._moved and number == 0:
            return {"name": "Mover", "email": self._moved}
        address = f"p{self.number}.{number}@example.edu"
        if address in self._gone():
            address = f"q{self.number}.{number}@example.edu"
        return {"name": f"Person {number}", "email": address}

    def _gone(self) -> set[str]:
        return set(self.erased.values())

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Repeat a request, to any web service, until one acknowledges it."""
        deadline = time.monotonic() + RETRY_TIMEOUT_SECONDS
        attempts = 0
        while True:
            attempts += 1
            answer = self._try(method, path, body, headers or {})
            status = answer.status_code if answer is not None else 0
            gone = method == "DELETE" and status == 404 and attempts > 1
            waits = status == 409 and "Idempotency-Key" in (headers or {})
            if answer is not None and status == 409 and TAKEN_TEXT in answer.text:
                return None
            if answer is not None and (status in {200, 201, 202, 204} or gone):
                self.tally.acknowledged += 1
                if method in {"PATCH", "PUT", "DELETE"}:
                    self.acts[method, path.partition("?")[0].split("/")[3]] += 1
                return answer.json() if answer.content and status != 404 else None
            if status and status not in EXPECTED_STATUSES and not waits:
                assert answer is not None
                self.tally.wrong.append(f"{method} {path}: {status} {answer.text[:200]}")
                raise AssertionError(self.tally.wrong[-1])
            told = f"{status} {answer.text[:200]}" if answer is not None else "no answer"
            assert time.monotonic() < deadline, f"{method} {path}: {told}, {attempts} times"
            time.sleep(self._chance.uniform(0.05, 0.3))

    def _try(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> httpx.Response | None:
        content = json.dumps(body).encode() if body is not None and method != "IMPORT" else body
        if method == "IMPORT":
            method, headers = "POST", {"Authorization": f"Bearer {self.place.key}"}
            headers["Content-Type"] = "application/x-ndjson"
        elif method == "WEBHOOK":
            assert content
            method, headers = "POST", sign_webhook(self.place.signing_key, content)
            assert SIGNATURE_HEADER in headers
        elif method == "STRIPE":
            assert content
            sent_at = int(time.time())
            signature = WebhookSignature.generate_signature_header(
                content.decode(), STRIPE_SECRET, sent_at
            )
            method, headers = "POST", {"Stripe-Signature": signature}
        else:
            headers = {**headers, "Authorization": f"Bearer {self.place.key}"}
            headers["Content-Type"] = "application/json"
        self.tally.requests += 1
        try:
            url = self._chance.choice(self._urls) + path
            answer = self._http.request(method, url, content=content, headers=headers)
        except httpx.HTTPError:
            self.tally.unanswered += 1
            return None
        self.tally.statuses[answer.status_code] += 1
        return answer
