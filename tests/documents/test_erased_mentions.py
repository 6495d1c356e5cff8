"""Erasing finds a person where only an ID, a plan or another record names them."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from tests.cast import BOB, Api, University, university
from tests.settled import settle

ANN = {"name": "Ann Able", "email": "ann@example.edu"}
STORES = ("donations", "payments", "deliveries", "events", "users")


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return university("Alice's University", Api.in_process(real_client))


def erase(alice: University, person: dict[str, str] = ANN) -> None:
    settle()
    found = alice.get(f"/v1/users?email={person['email']}")["data"]
    user = found[0]["id"] if found else alice.make("users", **person)["id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    settle()


def traces(*words: str) -> list[str]:
    """Return the stored records that have one of the words."""
    found = [(name, str(row).lower()) for name in STORES for row in get_db()[name].find()]
    wanted = words or ("ann@", "ann able")
    return [f"{name} {text}" for name, text in found if any(word in text for word in wanted)]


def gift_of(id_: str) -> Any:
    return get_db().donations.find_one({"_id": ObjectId(id_)})


def test_a_cheque_whose_id_names_her(alice: University) -> None:
    spring = alice.fundraiser()
    body = {"fundraiser_id": spring, "amount": 1000, "currency": "USD"}
    named = {"donor": {"name": "Ann Able"}, "external_id": "cheque/ann%40example.edu/7"}
    made = alice.make("donations", **body, **named)
    alice.make("donations", **body, recurring_id="monthly: Ann+x@Example.edu")
    alice.make("donations", **body, email_id="for ann@example.edu")
    settle()
    before = alice.report(spring)["donations"]
    erase(alice)
    assert traces() == []
    assert alice.report(spring)["donations"] == before
    again = alice.call("POST", "/v1/donations", body | named)
    assert (again.status, again.json["id"]) == (200, made["id"])
    assert traces() == []


def test_a_gift_of_somebody_else_keeps_its_donor_and_its_match(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, BOB)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    link = f"{token}?friend=ann@example.edu"
    names = {"email_id": link, "recurring_id": "with ann@example.edu", "external_id": "b"}
    made = alice.gift(spring, 1000, BOB, **names)
    own = alice.email(spring, ANN)
    link = f"{alice.get(f'/v1/emails/{own}')['link_token']}&e=ann@example.edu"
    hers = alice.gift(spring, 1000, ANN, email_id=link)
    settle()
    before = alice.report(spring)["donations"]
    erase(alice)
    assert traces() == []
    assert alice.report(spring)["donations"] == before
    assert (gift_of(made)["donor_email"], gift_of(made)["match"]) == (BOB["email"], "direct")
    assert gift_of(made)["email_id"] == ObjectId(email)
    assert (gift_of(hers)["match"], gift_of(hers)["email_id"]) == ("direct", ObjectId(own))
