"""One mailbox, many spellings: one person in every input. Damaged tokens are found there."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.staff import Staff
from documents.people.duplicate import list_duplicates
from documents.user import User
from documents.values.time import now
from tests.integration.documents.payments.test_payments import SECRET, post
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.pages import Browser, add_staff
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    make_charge_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

NED = {"name": "Ned", "email": "ned@b\u00fccher.example"}
SPELLINGS = [
    "NED@B\u00dcCHER.example",
    "ned@xn--bcher-kva.example",
    "Ned@XN--BCHER-KVA.EXAMPLE.",
    "n\u200bed@b\u00fccher.example",
    "\ufeffned@bu\u0308cher.example\u200e",
    "ned\u00a0@b\u00fccher.example",
    "\uff4e\uff45\uff44\uff20b\u00fccher\u3002example",
    '"ned"@b\u00fccher.example',
    "Ned <ned@b\u00fccher.example>;",
    "mailto:ned%40xn--bcher-kva.example?subject=Thanks",
]
OTHERS = ["n.ed@b\u00fccher.example", "ned@bucher.example", "n\u0435d@b\u00fccher.example"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_api_finds_the_person(alice: University, spelling: str) -> None:
    user = alice.make("users", **NED)["id"]
    again = alice.call("POST", "/v1/users", {"name": "N", "email": spelling})
    assert again.status == 409
    listed = alice.get(f"/v1/users?email={quote(spelling)}")["data"]
    assert [one["id"] for one in listed] == [user]
    spring = alice.fundraiser()
    email = alice.email(spring, {"name": "N", "email": spelling})
    assert alice.get(f"/v1/emails/{email}")["user_id"] == user
    same = alice.call("PATCH", f"/v1/users/{user}", {"email": spelling})
    assert same.status == 200
    assert len(alice.get("/v1/users")["data"]) == 1


@pytest.mark.parametrize("spelling", OTHERS)
def test_a_different_person_stays_different(alice: University, spelling: str) -> None:
    alice.make("users", **NED)
    assert alice.get(f"/v1/users?email={quote(spelling)}")["data"] == []
    alice.make("users", name="Other", email=spelling)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_imports_find_the_person(alice: University, spelling: str) -> None:
    user = alice.make("users", **NED)["id"]
    spring = alice.fundraiser()
    people = [{"name": "N", "email": spelling}, NED]
    lines = [json.dumps({"fundraiser_id": spring, "user": one}) for one in people]
    answer = alice.call(
        "POST",
        "/v1/emails/import",
        body="\n".join(lines).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.json["refused_count"], len(alice.get("/v1/users")["data"])) == (0, 1)
    answer = alice.call(
        "POST",
        "/v1/users/import",
        body="\n".join(map(json.dumps, people)).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.json["found"], len(alice.get("/v1/users")["data"])) == (2, 1)
    assert {one["user_id"] for one in alice.get("/v1/emails")["data"]} == {user}


def test_the_address_is_stored_as_sent(alice: University) -> None:
    user = alice.make("users", name="N", email="Ned <N\u200bED@B\u00fccher.example>")
    assert user["email"] == "NED@B\u00fccher.example"
    gift = alice.gift(
        alice.fundraiser(), donor={"name": "N", "email": "<NED@B\u00fccher.example>."}
    )
    assert alice.get(f"/v1/donations/{gift}")["donor"]["email"] == "NED@B\u00fccher.example"


@pytest.mark.parametrize(
    ("email", "status"),
    [
        ("\u200b" * 300 + "ned@example.org", 201),
        ("a" * 242 + "@example.org", 201),
        ("a" * 243 + "@example.org", 422),
        ("a" * 243 + "\u200b@example.org", 422),
        ("\u200b\u200b\u200b\u200b", 422),
        ("a@x.org, b@x.org", 422),
        ("ned smith@example.org", 422),
        ("n\x00ed@example.org", 422),
    ],
)
def test_an_address_is_checked_after_cleaning(alice: University, email: str, status: int) -> None:
    assert alice.call("POST", "/v1/users", {"name": "N", "email": email}).status == status


@pytest.mark.parametrize(
    "blank", ["", " ", "\u200b", "\u2060\ufeff", "\u00a0\u3000", "\u3164", "\u200e \u00ad" * 400]
)
def test_an_address_of_only_invisible_characters_is_blank(place: University, blank: str) -> None:
    spring = place.fundraiser()
    body = {"fundraiser_id": spring, "amount": 100, "currency": "USD"}
    place.make("donations", **body, donor={"name": "Ned", "email": blank})
    post(place, "gift-1", 1_763_800_000, spring, donor={"name": "Ned", "email": blank[:1000]})
    settle_all()
    donors = [gift["donor"] for gift in place.get("/v1/donations")["data"]]
    assert donors == [{"name": "Ned", "email": ""}] * 2


def test_staff_find_the_person(alice: University) -> None:
    user = alice.make("users", **NED)["id"]
    for search in [*SPELLINGS, "ned@b\u00fcch", "b\u00fccher", "ned@"]:
        if " " not in search:
            found = User.find_by_words(ObjectId(alice.id), search, 10)
            assert [str(one.id) for one in found] == [user], ascii(search)


def test_staff_sign_in_with_any_spelling(alice: University) -> None:
    added = Staff.add(ObjectId(alice.id), "Ned", "ned@b\u00fccher.example", "viewer")
    for spelling in SPELLINGS:
        assert Staff.known(spelling) == added


def test_the_sign_in_form_takes_any_spelling(alice: University, client: testing.TestClient) -> None:
    add_staff(alice.id, "ned@b\u00fccher.example")
    for spelling in SPELLINGS:
        assert Browser(client).sign_in(spelling).status_code == 303


def test_the_health_page_lists_who_shares_a_mailbox(
    alice: University, charlie: University, client: testing.TestClient
) -> None:
    kept = alice.make("users", **NED)["id"]
    other = alice.make("users", name="Ned Again", email="other@example.org")["id"]
    browser = Browser(client)
    add_staff(alice.id, "alice@example.edu")
    browser.sign_in("alice@example.edu")
    assert "Duplicate people" not in browser.get("/dashboard/health").text
    earlier = {"email": "ned@b\u00fccher.example.", "address": "ned@b\u00fccher.example."}
    get_db().users.update_one({"_id": ObjectId(other)}, {"$set": earlier})
    noted = {"organization_id": ObjectId(alice.id), "collection": "users", "noted_at": now()}
    get_db().duplicates.insert_one({"_id": ObjectId(other), "kept_id": ObjectId(kept), **noted})
    page = browser.get("/dashboard/health").text
    assert "Ned Again" in page
    assert f"/dashboard/people/{kept}" in page
    assert "erase both" in page
    assert list(list_duplicates(ObjectId(charlie.id))) == []
    alice.call("DELETE", f"/v1/users/{other}")
    assert "Duplicate people" not in browser.get("/dashboard/health").text


@pytest.fixture
def place(real_client: testing.TestClient) -> University:
    place = create_university("Alice's University", Api.in_process(real_client))
    place.set_webhook_key()
    set_stripe_secret(place)
    place.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return place


def test_gifts_and_events_find_the_person(place: University) -> None:
    spring = place.fundraiser()
    appeal = place.mailing(spring, name="Appeal")
    email = place.email(spring, NED, mailing_id=appeal, sent_at="2025-11-20T00:00:00Z")
    user = place.get(f"/v1/emails/{email}")["user_id"]
    at = "2025-11-21T00:00:00Z"
    for number, spelling in enumerate(SPELLINGS):
        donor = {"name": "Ned", "email": spelling}
        place.gift(spring, donor=donor, donated_at=at, external_id=f"gift-{number}")
        post(place, f"post-{number}", 1_763_700_000, spring, donor=donor)
        paid = make_charge_event(
            "succeeded", id=f"ch_{number}", payment_intent=None, billing_details=donor
        )
        post_stripe_event(place, set_metadata(paid, fundraiser_id=spring))
        place.deliver([make_event("", "open", 1_763_700_000 + number, email=spelling,
                             category=["Appeal"], sg_message_id="")])  # fmt: skip
    settle_all()
    gifts = list(get_db().donations.find())
    assert len(gifts) == 3 * len(SPELLINGS)
    assert {(str(gift.get("user_id")), str(gift.get("email_id"))) for gift in gifts} == {
        (user, email)
    }
    assert place.report(spring)["donations"]["donors"] == 1
    assert place.get(f"/v1/emails/{email}")["opens"] == len(SPELLINGS)


def test_events_of_one_message_find_its_email(place: University) -> None:
    spring = place.fundraiser()
    email = place.email(spring, NED)
    place.deliver([make_event(email, "delivered", 1_763_700_000, email=NED["email"])])
    settle_all()
    same = {"sg_message_id": f"message-{email}"}
    place.deliver(
        [
            make_event("", "open", 1_763_700_100 + n, email=one, **same)
            for n, one in enumerate(SPELLINGS)
        ]
    )
    settle_all()
    assert place.get(f"/v1/emails/{email}")["opens"] == len(SPELLINGS)


def test_strangers_of_one_mailbox_are_one_donor(place: University) -> None:
    spring = place.fundraiser()
    for spelling in SPELLINGS:
        place.gift(spring, donor={"name": "Ned", "email": spelling})
    for spelling in OTHERS:
        place.gift(spring, donor={"name": "Other", "email": spelling})
    settle_all()
    assert place.report(spring)["donations"]["donors"] == 1 + len(OTHERS)


@pytest.mark.parametrize(
    "damage",
    ["{}.", "<{}>", "{}%20", "{}&fbclid=IwAR0x", "{}?utm_source=x", "3D{}",
     "https://give.example.edu/?email_id=3D{}&amp;utm_source=x"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["link_token", "id"])
def test_a_damaged_reference_is_recognized_in_every_input(
    place: University, damage: str, name: str
) -> None:
    spring = place.fundraiser()
    emails = [place.get(f"/v1/emails/{place.email(spring, sent_at=None)}") for _ in range(2)]
    email = emails[0]
    sent = damage.format(email[name])
    stranger: dict[str, Any] = {"name": "S", "email": "stranger@example.net"}
    gift = place.gift(spring, donor=stranger, email_id=sent)
    post(place, "post-1", 1_763_700_000, spring, donor=stranger, email_id=sent)
    paid = make_charge_event("succeeded", payment_intent=None, billing_details=stranger)
    post_stripe_event(place, set_metadata(paid, fundraiser_id=spring, email_id=sent))
    place.deliver([make_event(sent, "open", 1_763_700_000)])
    pinned = place.gift(spring, donor=stranger)
    assert place.call("PUT", f"/v1/donations/{pinned}/match", {"email_id": sent}).status == 200
    settle_all()
    found = list(get_db().donations.find())
    assert [str(one["email_id"]) for one in found] == [email["id"]] * 4
    assert place.get(f"/v1/emails/{email['id']}")["opens"] == 1
    assert get_db().donations.find_one({"_id": ObjectId(gift)})["email_ref"] == sent


def test_a_damaged_reference_of_another_organization_is_ignored(
    place: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    theirs = charlie.get(f"/v1/emails/{charlie.email(charlie.fundraiser())}")
    spring = place.fundraiser()
    for name in ("link_token", "id"):
        donor = {"name": "S", "email": "stranger@example.net"}
        place.gift(spring, donor=donor, email_id=f"{theirs[name]}.")
    settle_all()
    assert {gift["match"] for gift in place.get("/v1/donations")["data"]} == {"none"}
