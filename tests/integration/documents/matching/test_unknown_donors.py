"""Gifts of unknown people, such as cash and cheques: accepted, shown and counted."""

import pytest
from falcon import testing

from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all

NAMELESS = {"name": "Anonymous", "email": ""}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({}, NAMELESS),
        ({"donor": None}, NAMELESS),
        ({"donor": {"name": "Carol"}}, {"name": "Carol", "email": ""}),
        ({"donor": {"name": "Carol", "email": None}}, {"name": "Carol", "email": ""}),
        ({"donor": {"name": "Carol", "email": ""}}, {"name": "Carol", "email": ""}),
        ({"donor": {"name": "Carol", "email": "  "}}, {"name": "Carol", "email": ""}),
        ({"donor": BOB}, BOB),
    ],
)
def test_a_donors_address_is_optional(
    alice: University, given: dict[str, object], answered: object
) -> None:
    spring = alice.fundraiser()
    alice.email(spring)
    body = {"fundraiser_id": spring, "amount": 1000, "currency": "USD", **given}
    made = [alice.make("donations", **body) for _ in range(2)]
    assert [gift["donor"] for gift in made] == [answered] * 2
    settle_all()
    path = f"/v1/donations/{made[0]['id']}"
    found = alice.call("PATCH", path, {"refunded_amount": 400}).json
    assert (found["donor"], found["refunded_amount"]) == (answered, 400)
    assert alice.call("PUT", f"{path}/match", {"email_id": None}).status == 200
    settle_all()
    assert [gift["donor"] for gift in alice.get("/v1/donations")["data"]] == [answered] * 2
    report = alice.report(spring)["donations"]
    # As with gifts from webhooks, each gift of an unknown person counts as a separate donor.
    assert (report["count"], report["donors"]) == (2, 1 if answered == BOB else 2)
    assert report["raised"] == {"USD": 1600}
    assert alice.call("DELETE", path).status == 204
    settle_all()
    report = alice.report(spring)["donations"]
    assert (report["count"], report["donors"]) == (1, 1)


@pytest.mark.parametrize("user", ["bob", "6b077f764a76dcb912a43968"])
def test_an_address_that_looks_like_an_erased_donor_is_an_address(
    alice: University, user: str
) -> None:
    spring = alice.fundraiser()
    donor = {"name": "Odd", "email": f"erased:{user}@example.org"}
    email = alice.email(spring, donor)
    made = alice.gift(spring, 1000, donor)
    settle_all()
    found = alice.get(f"/v1/donations/{made}")
    assert (found["match"], found["email_id"]) == ("address", email)
    assert alice.get("/v1/jobs/failed")["data"] == []
