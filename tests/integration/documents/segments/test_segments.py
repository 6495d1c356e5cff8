"""Segments count what a plain recomputation from emails and gifts counts."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.counters import LEDGER
from documents.migrations.matched import MATCHED_MIGRATION
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.recount import recount
from documents.values.time import now
from matchback import engine
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT, HOUR = 1_700_000_000, 3600
DOMAINS = ["gmail.com", "hotmail.co.uk", "example.edu", "example.org"]
PROVIDERS = dict(zip(DOMAINS, ["gmail.com", "outlook.com", "own", "other"], strict=True))
SCHOOLS = ["Law", "Medicine", None]
SENT = {"sent_at": "2026-11-01T00:00:00Z"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    answer = alice.call("PATCH", "/v1/organization", {"email_domains": ["Example.edu"]})
    assert answer.status == 200, answer.content
    return alice


def read_values(alice: University, path: str, by: str) -> dict[Any, Any]:
    table = alice.get(f"/v1/{path}/report?by={by}")["segments"]
    return {
        line["value"] if line["kind"] == "value" else line["kind"]: line for line in table["values"]
    }


def describe(line: Any) -> tuple[int, int, int, int, int, dict[str, int]]:
    emails, gifts = line["emails"], line["donations"]
    return (
        *(line["recorded"], emails["clicked"], emails["clicks"], emails["donated"]),
        *(gifts["count"], gifts["raised"]),
    )


class PlainBooks:
    """Lists of all emails and clicks, and the figures that follow from them."""

    def __init__(self) -> None:
        self.emails: dict[str, dict[str, Any]] = {}
        self.clicks: list[str] = []
        self.gifts: dict[str, dict[str, Any]] = {}

    def sum_by(self, mailing: str | None, key: str) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for id_, email in self.emails.items():
            if mailing in (None, email["mailing"]):
                found.setdefault(email[key] or "none", []).append(id_)
        return {value: self._sum(ids) for value, ids in found.items()}

    def _sum(self, ids: list[str]) -> tuple[int, int, int, int, int, dict[str, int]]:
        clicks = Counter(id_ for id_ in self.clicks if id_ in ids)
        gifts = [gift for gift in self.gifts.values() if gift["email"] in ids and gift["left"] > 0]
        raised: Counter[str] = Counter()
        for gift in gifts:
            raised[gift["currency"]] += gift["left"]
        donated = len({gift["email"] for gift in gifts})
        return len(ids), len(clicks), clicks.total(), donated, len(gifts), dict(raised)


@pytest.mark.parametrize("seed", range(3))
def test_segments_agree_with_a_plain_recomputation(alice: University, seed: int) -> None:
    chance, books = random.Random(seed), PlainBooks()
    fundraiser = alice.fundraiser()
    mailings = [alice.mailing(fundraiser, **SENT), alice.mailing(fundraiser, **SENT), None]
    for number in range(60):
        act = chance.random()
        if act < 0.5 or not books.emails:
            domain, school = chance.choice(DOMAINS), chance.choice(SCHOOLS)
            mailing = chance.choice(mailings)
            user: dict[str, Any] = {"name": "Bob", "email": f"u{number}@{domain}"}
            user |= {"attributes": {"School": school}} if school else {}
            more = {"mailing_id": mailing} if mailing else SENT
            id_ = alice.email(fundraiser, user, **more)
            books.emails[id_] = {
                "school": school,
                "provider": PROVIDERS[domain],
                "mailing": mailing,
                "user": user,
            }
        elif act < 0.65:
            id_ = chance.choice(list(books.emails))
            books.clicks.append(id_)
            alice.deliver([make_event(id_, "click", AT + number * HOUR)])
        elif act < 0.85:
            id_ = chance.choice(list(books.emails))
            amount, currency = chance.randrange(1, 5000), chance.choice(["USD", "EUR"])
            made = alice.gift(fundraiser, amount, currency=currency, email_id=id_)
            books.gifts[made] = {"email": id_, "left": amount, "currency": currency, "all": amount}
        elif books.gifts and act < 0.95:
            id_, gift = chance.choice(list(books.gifts.items()))
            back = chance.randrange(gift["all"] - gift["left"], gift["all"] + 1)
            answer = alice.call("PATCH", f"/v1/donations/{id_}", {"refunded_amount": back})
            assert answer.status == 200, answer.content
            gift["left"] = gift["all"] - back
        else:
            id_ = chance.choice(list(books.emails))
            if not any(gift["email"] == id_ for gift in books.gifts.values()):
                assert alice.call("DELETE", f"/v1/emails/{id_}").status == 204
                del books.emails[id_]
        if chance.random() < 0.3:
            settle_all()
    settle_all()
    for key, by in (("school", "school"), ("provider", "mailbox_provider")):
        for mailing in mailings[:2]:
            found = read_values(alice, f"mailings/{mailing}", by)
            right = books.sum_by(mailing, key)
            assert {value: describe(line) for value, line in found.items()} == right
        found = read_values(alice, f"fundraisers/{fundraiser}", by)
        right = books.sum_by(None, key)
        assert {value: describe(line) for value, line in found.items()} == right


def read_gifts(alice: University, path: str) -> dict[Any, Any]:
    settle_all()
    lines = read_values(alice, path, "school")
    return {
        value: (line["donations"]["count"], line["donations"]["raised"])
        for value, line in lines.items()
    }


def test_a_gift_pinned_to_an_email_of_another_fundraiser_counts_with_the_email(
    alice: University,
) -> None:
    finished = {"$set": {"finished_at": now()}}
    get_db().migrations.update_one({"_id": MATCHED_MIGRATION}, finished, upsert=True)
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    mailing = alice.mailing(autumn, **SENT)
    eve: Any = {"name": "Eve", "email": "eve@gmail.com", "attributes": {"school": "Law"}}
    dan = {"name": "Dan", "email": "dan@gmail.com"}
    of_eve = alice.email(autumn, eve, mailing_id=mailing)
    of_dan, of_ann = alice.email(autumn, dan, mailing_id=mailing), alice.email(autumn, dan, **SENT)
    alice.email(spring, dan, **SENT)
    alice.gift(autumn, 700, dan, email_id=of_dan)
    alice.gift(autumn, 40, dan, email_id=of_ann)
    pinned = alice.gift(spring, 2500, {"name": "A stranger"})
    others = {"none": (2, {"USD": 740})}
    paths = [f"fundraisers/{autumn}", f"mailings/{mailing}", f"fundraisers/{spring}"]
    match = f"/v1/donations/{pinned}/match"

    def read_all() -> list[dict[Any, Any]]:
        return [read_gifts(alice, path) for path in paths]

    nothing: dict[Any, Any] = {"none": (0, {})}
    of_mailing = {"none": (1, {"USD": 700})}
    plain = [{"Law": (0, {}), **others}, {"Law": (0, {}), **of_mailing}, nothing]
    assert read_all() == plain
    assert alice.call("PUT", match, {"email_id": of_eve}).status == 200
    law = {"Law": (1, {"USD": 2500})}
    assert read_all() == [law | others, law | of_mailing, nothing]
    alice.call("PATCH", f"/v1/donations/{pinned}", {"refunded_amount": 500})
    law = {"Law": (1, {"USD": 2000})}
    assert read_all() == [law | others, law | of_mailing, nothing]
    assert alice.call("DELETE", match).status == 200
    assert read_all() == plain


def test_the_migration_counts_the_gifts_of_a_fundraisers_emails(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, **SENT)
    of: list[dict[str, Any]] = [{"mailing_id": mailing}, {**SENT}]
    for more in of:
        alice.gift(spring, 700, {"name": "Bob"}, email_id=alice.email(spring, **more))
    settle_all()
    paths = [f"fundraisers/{spring}", f"mailings/{mailing}"]
    before = [read_gifts(alice, path) for path in paths]
    forget_matched()
    [migration] = [one for one in MIGRATIONS if one.number == MATCHED_MIGRATION]
    [*_, status] = run_migrations((migration,))
    assert status.rows == 2
    assert [read_gifts(alice, path) for path in paths] == before


def forget_matched() -> None:
    """Store everything as before fundraisers and mailings counted the gifts of their emails."""
    for name in ("fundraisers", "mailings"):
        get_db()[name].update_many({}, {"$unset": {"matched": ""}})
    for email in get_db().emails.find():
        counted = []
        for text, *targets in email["counted"]:
            amounts = json.loads(text)
            own = {key: one for key, one in amounts.items() if not key.startswith("matched")}
            for name, id_ in zip(targets[::2], targets[1::2], strict=True):
                rest = own if name in {"fundraisers", "mailings"} else amounts
                if rest:
                    counted.append([json.dumps(rest, separators=(",", ":")), name, id_])
        get_db().emails.update_one({"_id": email["_id"]}, {"$set": {"counted": counted}})


def test_a_wrong_counter_of_a_segment_is_found_and_repaired(alice: University) -> None:
    fundraiser = alice.fundraiser()
    user: Any = {"name": "Bob", "email": "bob@gmail.com", "attributes": {"school": "Law"}}
    alice.email(fundraiser, user, **SENT)
    alice.gift(fundraiser, 700, {"name": "Bob", "email": "bob@gmail.com"})
    settle_all()
    get_db().segments.update_many({"value": "Law"}, {"$set": {"matched.raised": {"USD": 9}}})
    [drift] = recount.find_drifts()
    assert (drift.field, drift.actual, drift.expected) == ("matched.raised.USD", 9, 700)
    assert engine.repair_drift(get_db(), LEDGER, drift)
    settle_all()


def test_emails_from_before_segments_are_in_the_line_without_a_value(alice: University) -> None:
    fundraiser = alice.fundraiser()
    former = ObjectId(alice.email(fundraiser, {"name": "B", "email": "b@gmail.com"}, **SENT))
    get_db().emails.update_one({"_id": former}, {"$unset": {"segment_ids": "", "attributes": ""}})
    alice.email(fundraiser, {"name": "C", "email": "c@gmail.com"}, **SENT)
    alice.gift(fundraiser, 700, {"name": "B", "email": "b@gmail.com"})
    settle_all()
    found = read_values(alice, f"fundraisers/{fundraiser}", "mailbox_provider")
    assert describe(found["none"]) == (1, 0, 0, 1, 1, {"USD": 700})
    assert describe(found["gmail.com"]) == (1, 0, 0, 0, 0, {})


def test_unique_values_share_a_segment_beyond_the_limit(alice: University) -> None:
    fundraiser = alice.fundraiser()
    mailing = alice.mailing(fundraiser, **SENT)
    lines = [
        f'{{"mailing_id": "{mailing}", "user": {{"name": "U", "email": "u{n}@x.example", '
        f'"attributes": {{"code": "value {n}"}}}}}}'
        for n in range(230)
    ]
    body = "\n".join(lines).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = alice.call("POST", "/v1/emails/import", body=body, headers=headers)
    assert answer.json["created"] == 230, answer.content
    settle_all()
    found = read_values(alice, f"mailings/{mailing}", "code")
    assert len(found) == 201
    assert found["other"]["recorded"] == 30


def test_more_attributes_than_a_mailing_may_have_get_no_segments(alice: University) -> None:
    fundraiser = alice.fundraiser()
    for number in range(3):
        names = {f"a{number}_{n}": "x" for n in range(20)}
        user: Any = {"name": "U", "email": f"u{number}@x.example", "attributes": names}
        alice.email(fundraiser, user, **SENT)
    settle_all()
    table = alice.get(f"/v1/fundraisers/{fundraiser}/report?by=a2_19")["segments"]
    assert len(table["attributes"]) == 40
    assert [line["kind"] for line in table["values"]] == ["none"]


def test_charlie_sees_none_of_alices_segments(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    fundraiser = alice.fundraiser()
    assert charlie.call("GET", f"/v1/fundraisers/{fundraiser}/report?by=school").status == 404


@pytest.mark.parametrize("by", ["", "a b", "x" * 41, "%24where", "a.b"])
def test_a_name_that_no_attribute_can_have_is_rejected(alice: University, by: str) -> None:
    assert alice.call("GET", f"/v1/fundraisers/{alice.fundraiser()}/report?by={by}").status in (
        400,
        422,
    )


def test_an_erased_person_leaves_the_counts_of_their_segments(alice: University) -> None:
    fundraiser = alice.fundraiser()
    user: Any = {"name": "Bob", "email": "bob@gmail.com", "attributes": {"school": "Zeppelinology"}}
    email = alice.email(fundraiser, user, **SENT)
    settle_all()
    user_id = alice.get(f"/v1/emails/{email}")["user_id"]
    assert alice.call("DELETE", f"/v1/users/{user_id}?erase=true").status == 204
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["attributes"] == {}
    assert "attributes" not in get_db().users.find_one({"_id": ObjectId(user_id)})
    found = read_values(alice, f"fundraisers/{fundraiser}", "school")
    assert found["Zeppelinology"]["recorded"] == 1
