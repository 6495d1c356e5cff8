"""After any acts in any order, each endpoint knows the state of each donation and email."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from mongoengine import get_db

from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.reported import describe_gift, find_report_mistakes
from tools.testbed.settled import settle_all

URL = "https://crm.example.edu/hook"
DONORS = [BOB, {"name": "Eve", "email": "eve@example.org"}]
DAYS = [f"2026-11-{day:02}T00:00:00Z" for day in (1, 5, 9, 20)]
STATUSES = ["succeeded", "failed", "disputed", "refunded"]
GIFT_TYPES = [one for one in OUTGOING_EVENT_TYPES if one.startswith("donation.")]
EMAIL_TYPES = [one for one in OUTGOING_EVENT_TYPES if one.startswith("email.")]
NOTHING_KNOWN = (None, None, 0, False)
Known = dict[ObjectId, Any]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def read_gifts() -> dict[ObjectId, Any]:
    return {row["_id"]: describe_gift(row) for row in get_db().donations.find()}


def read_emails() -> dict[ObjectId, Any]:
    return {
        row["_id"]: (bool(row.get("bounced_at")), bool(row.get("unsubscribed_at")))
        for row in get_db().emails.find({"deleted_at": None})
    }


class LateEndpoint:
    """An endpoint with everything that it knows: the state at its start, and its events."""

    def __init__(self, organization_id: str, types: list[str]) -> None:
        endpoint, _ = WebhookEndpoint.add(ObjectId(organization_id), URL, types)
        self.id = endpoint.id
        self.types = types
        self.gifts: Known = read_gifts()
        self.emails: Known = read_emails()
        # Their counters do not show what was refunded before.
        self.unsure = {
            row["_id"]
            for row in get_db().donations.find({"refunded_amount": {"$gt": 0}})
            if row["status"] not in ("succeeded", "refunded")
        }
        self.read = 0
        self.versions: dict[ObjectId, int] = {}

    def compare(self) -> None:
        """Read the new events, and compare them with the changes since the last time."""
        query = {"endpoint_id": self.id}
        events = list(get_db().event_deliveries.find(query).sort("_id", 1))
        new, self.read = events[self.read :], len(events)
        new.sort(key=lambda one: (one["record_id"], one["version"]))
        for one in new:
            assert one["type"] in self.types
            assert one["version"] > self.versions.get(one["record_id"], 0)
            self.versions[one["record_id"]] = one["version"]
        told = {one["record_id"]: one for one in new}
        if GIFT_TYPES[0] in self.types:
            self._compare_gifts(told)
        if EMAIL_TYPES[0] in self.types:
            self._compare_emails(told)

    def _compare_gifts(self, told: Known) -> None:
        for id_, state in read_gifts().items():
            event = told.get(id_)
            if event:
                data = event["data"]
                match = data.get("email_id"), data.get("match")
                assert (*match, data["refunded_amount"], data["deleted"]) == state
            before = self.gifts.get(id_, NOTHING_KNOWN)
            # Only other endpoints may have heard of a deleted gift that was never paid.
            is_new = id_ not in self.versions and before[:3] == state[:3]
            if id_ not in self.unsure and not (state[3] and is_new):
                assert bool(event) == (before != state), (before, state)
            self.gifts[id_] = state

    def _compare_emails(self, told: Known) -> None:
        for id_, state in read_emails().items():
            before = self.emails.get(id_, (False, False))
            assert (id_ in told) == (before != state), (told.get(id_), before, state)
            self.emails[id_] = state


def test_every_endpoint_hears_each_change_and_nothing_else(alice: University) -> None:
    class AnyOrder(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            get_db().webhook_endpoints.delete_many({})
            for name in ("event_deliveries", "donations", "emails", "matches", "late_touches"):
                get_db()[name].delete_many({})
            for name in ("fundraisers", "mailings", "users", "donors", "gift_days"):
                get_db()[name].delete_many({})
            for name in ("user_index", "email_index", "events", "messages", "archives"):
                get_db()[name].delete_many({})
            self.fundraiser = alice.fundraiser()
            self.emails: list[str] = []
            self.gifts: list[str] = []
            self.first = LateEndpoint(alice.id, list(OUTGOING_EVENT_TYPES))
            self.endpoints = [self.first]
            self.number = 0

        @rule(who=st.integers(0, 1), day=st.sampled_from(DAYS))
        def send(self, who: int, day: str) -> None:
            self.emails.append(alice.email(self.fundraiser, DONORS[who], sent_at=day))

        @rule(
            who=st.integers(0, 1),
            named=st.integers(0, 5),
            status=st.sampled_from(["succeeded", "succeeded", "succeeded", "pending", "failed"]),
            day=st.sampled_from(DAYS),
            plan=st.sampled_from([None, None, "plan"]),
        )
        def give(self, who: int, named: int, status: str, day: str, plan: str | None) -> None:
            fields: dict[str, Any] = {"status": status, "donated_at": day}
            if named < len(self.emails):
                fields["email_id"] = self.emails[named]
            if plan:
                fields["recurring_id"] = plan
            self.gifts.append(alice.gift(self.fundraiser, 1000, DONORS[who], **fields))

        @precondition(lambda self: self.gifts)
        @rule(data=st.data(), status=st.sampled_from(STATUSES))
        def change(self, data: Any, status: str) -> None:
            self.patch(data, {"status": status})

        @precondition(lambda self: self.gifts)
        @rule(data=st.data(), refunded=st.sampled_from([0, 300, 500, 1000]))
        def refund(self, data: Any, refunded: int) -> None:
            self.patch(data, {"refunded_amount": refunded})

        def patch(self, data: Any, fields: dict[str, Any]) -> None:
            gift = data.draw(st.sampled_from(self.gifts))
            assert alice.call("PATCH", f"/v1/donations/{gift}", fields).status in (200, 422)

        @precondition(lambda self: self.gifts and self.emails)
        @rule(data=st.data(), pinned=st.booleans())
        def pin(self, data: Any, pinned: bool) -> None:
            gift = data.draw(st.sampled_from(self.gifts))
            email = data.draw(st.sampled_from([*self.emails, None]))
            body = {"email_id": email} if pinned else None
            path = f"/v1/donations/{gift}/match"
            assert alice.call("PUT" if pinned else "DELETE", path, body).status in (200, 204)

        @precondition(lambda self: self.gifts)
        @rule(data=st.data())
        def delete_gift(self, data: Any) -> None:
            gift = data.draw(st.sampled_from(self.gifts))
            self.gifts.remove(gift)
            assert alice.call("DELETE", f"/v1/donations/{gift}").status == 204

        @precondition(lambda self: self.emails)
        @rule(data=st.data())
        def delete_email(self, data: Any) -> None:
            email = data.draw(st.sampled_from(self.emails))
            self.emails.remove(email)
            assert alice.call("DELETE", f"/v1/emails/{email}").status == 204

        @precondition(lambda self: self.emails)
        @rule(data=st.data(), type_=st.sampled_from(["click", "open", "bounce", "unsubscribe"]))
        def report(self, data: Any, type_: str) -> None:
            self.number += 1
            email = data.draw(st.sampled_from(self.emails))
            event = make_event(email, type_, 1_793_500_000 + self.number)
            assert alice.deliver([event] * 2).status == 202

        @rule(types=st.sampled_from([list(OUTGOING_EVENT_TYPES), GIFT_TYPES, EMAIL_TYPES]))
        def add_endpoint(self, types: list[str]) -> None:
            settle_all()
            self.compare()
            self.endpoints.append(LateEndpoint(alice.id, types))

        @rule(data=st.data())
        def remove_endpoint(self, data: Any) -> None:
            """Remove any endpoint, so that at times there is none."""
            if self.endpoints:
                settle_all()
                self.compare()
                gone = data.draw(st.sampled_from(self.endpoints))
                self.endpoints.remove(gone)
                query = {"_id": gone.id}
                get_db().webhook_endpoints.update_one(query, {"$set": {"deleted_at": now()}})

        @rule()
        def settle_everything_again(self) -> None:
            due = {"$set": {"due": now()}}
            for name in ("donations", "emails"):
                get_db()[name].update_many({}, due)

        @rule()
        def settle_some(self) -> None:
            sweep_due_records()

        @rule()
        def settle_and_compare(self) -> None:
            settle_all()
            self.compare()

        def compare(self) -> None:
            for one in self.endpoints:
                one.compare()

        def teardown(self) -> None:
            settle_all()
            self.compare()
            if self.first in self.endpoints:
                others = {"_id": {"$ne": self.first.id}}
                get_db().webhook_endpoints.delete_many(others)
                assert find_report_mistakes() == []

    AnyOrder.TestCase.settings = hypothesis_settings(
        max_examples=6,
        stateful_step_count=25,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    )
    AnyOrder.TestCase("runTest").runTest()
