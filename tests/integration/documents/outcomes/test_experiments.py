"""An experiment counts gifts by intention to treat, and held-out emails are in no other figure."""

import time
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.donation import Donation
from documents.mailing import Mailing
from documents.reports.gift_lines import list_pin_candidates
from documents.reports.recipients import list_recipients
from documents.reports.timeline import list_timeline
from documents.user import User
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

SENT, GIVEN, LATE = "2025-11-20T00:00:00Z", "2025-11-23T00:00:00Z", "2025-12-20T00:00:00Z"
EVE = {"name": "Eve", "email": "eve@example.org"}
DAN = {"name": "Dan", "email": "dan@example.org"}
ARMS = [{"name": "sent", "weight": 1}, {"name": "holdout", "weight": 1, "held_out": True}]
OPENED = 1_763_700_000  # 2025-11-21T04:40:00Z


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def put(alice: University, mailing: str, **more: Any) -> Any:
    return alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS, **more})


def experiment(alice: University, **more: Any) -> tuple[str, str]:
    """Return a fundraiser, and a mailing with an experiment."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at=SENT)
    answer = put(alice, mailing, **{"window_days": 14, **more})
    assert answer.status == 200, answer.content
    return spring, mailing


def arms(alice: University, mailing: str, *names: str) -> dict[str, Any]:
    settle_all()
    found = alice.get(f"/v1/mailings/{mailing}/experiment")["arms"]
    return {arm["name"]: tuple(arm[name] for name in names) for arm in found}


def givers(alice: University, mailing: str) -> dict[str, Any]:
    return arms(alice, mailing, "recipients", "givers", "raised")


def record(alice: University, spring: str, mailing: str, user: Any, arm: str) -> str:
    return alice.email(spring, user=user, mailing_id=mailing, arm=arm)


def test_gifts_count_for_the_arm_of_their_user_whatever_they_match(alice: University) -> None:
    spring, mailing = experiment(alice)
    record(alice, spring, mailing, BOB, "sent")
    held_out = record(alice, spring, mailing, EVE, "holdout")
    bobs = alice.gift(spring, donated_at=GIVEN)
    eves = alice.gift(spring, 700, EVE, donated_at=GIVEN)
    alice.gift(spring, 300, EVE, donated_at=GIVEN, currency="EUR")
    alice.gift(spring, 900, EVE, donated_at=LATE)  # after the window
    alice.gift(alice.fundraiser("Autumn"), 900, EVE, donated_at=GIVEN)
    assert givers(alice, mailing) == {
        "sent": (1, 1, {"USD": 2500}),
        "holdout": (1, 1, {"EUR": 300, "USD": 700}),
    }
    found = alice.get(f"/v1/emails/{held_out}")
    assert (found["arm"], found["held_out"], found["sent_at"]) == ("holdout", True, None)
    matches = [alice.get(f"/v1/donations/{one}")["match"] for one in (bobs, eves)]
    assert matches == ["address", "none"]
    alice.call("PATCH", f"/v1/donations/{eves}", {"refunded_amount": 200})
    assert givers(alice, mailing)["holdout"] == (1, 1, {"EUR": 300, "USD": 500})
    alice.call("PATCH", f"/v1/donations/{eves}", {"status": "disputed"})
    assert givers(alice, mailing)["holdout"] == (1, 1, {"EUR": 300})
    alice.call("DELETE", f"/v1/donations/{bobs}")
    assert givers(alice, mailing)["sent"] == (1, 0, {})


def test_a_held_out_email_matches_no_gift_and_is_in_no_other_figure(alice: University) -> None:
    spring, mailing = experiment(alice)
    held_out = record(alice, spring, mailing, EVE, "holdout")
    other = alice.email(spring, user=BOB, sent_at=SENT)
    token = alice.get(f"/v1/emails/{held_out}")["link_token"]
    by_link, by_id, by_address = (
        alice.gift(spring, 100, EVE, donated_at=GIVEN, email_id=ref)
        for ref in (token, held_out, "")
    )
    plan = [
        alice.gift(spring, 100, EVE, donated_at=f"2025-11-2{day}T00:00:00Z", recurring_id="plan")
        for day in (4, 5)
    ]
    settle_all()
    for gift in (by_link, by_id, by_address, *plan):
        found = alice.get(f"/v1/donations/{gift}/match")
        assert (found["match"], found["considered"]) == ("none", [])
    refused = alice.call("PUT", f"/v1/donations/{by_id}/match", {"email_id": held_out})
    assert (refused.status, refused.json["errors"][0]["code"]) == (422, "held_out")

    # The platform sent it nevertheless, and the provider reports that.
    url = "https://give.example.edu/"
    reports = [make_event(held_out, kind, OPENED) for kind in ("processed", "delivered", "open")]
    bounce = make_event("", "bounce", OPENED, email=EVE["email"])
    alice.deliver([*reports, make_event(held_out, "click", OPENED + 9, url=url), bounce])
    late = alice.gift(spring, 100, EVE, donated_at=GIVEN, email_id=token)
    assert arms(alice, mailing, "recipients", "delivered", "opened", "clicked", "raised") == {
        "sent": (0, 0, 0, 0, {}),
        "holdout": (1, 1, 1, 1, {"USD": 600}),
    }
    assert alice.get(f"/v1/donations/{late}")["match"] == "none"
    assert alice.get(f"/v1/emails/{held_out}")["bounced_at"] is None
    funnel = alice.report(spring)["emails"]
    assert {name: number for name, number in funnel.items() if number} == {"sent": 1}
    assert alice.get(f"/v1/mailings/{mailing}")["emails_count"] == 0
    assert alice.get(f"/v1/mailings/{mailing}/links")["data"] == []
    user = alice.get(f"/v1/emails/{held_out}")["user_id"]
    assert alice.get(f"/v1/users/{user}")["emails_count"] == 0
    listed = alice.get("/v1/emails?held_out=true")["data"]
    assert [one["id"] for one in listed] == [held_out]
    listed = alice.get("/v1/emails?held_out=false")["data"]
    assert [one["id"] for one in listed] == [other]


def test_dashboard_lists_leave_held_out_emails_out(alice: University) -> None:
    spring, mailing = experiment(alice)
    sent = record(alice, spring, mailing, BOB, "sent")
    held_out = record(alice, spring, mailing, EVE, "holdout")
    gift = Donation.fetch(ObjectId(alice.id), alice.gift(spring, 100, EVE))
    settle_all()
    of_mailing = Mailing.fetch(ObjectId(alice.id), mailing)
    for search, expected in (("", [sent]), ("eve", [])):
        page = list_recipients(of_mailing, search=search)
        assert [str(one.email_id) for one in page.rows] == expected
    user = User.fetch(ObjectId(alice.id), alice.get(f"/v1/emails/{held_out}")["user_id"])
    gift = Donation.fetch(ObjectId(alice.id), str(gift.id))
    assert gift.user_id == user.id
    assert list_pin_candidates(gift) == []
    assert [one.kind for one in list_timeline(user).entries] == ["gift"]


def test_events_by_address_belong_to_emails_that_were_sent(alice: University) -> None:
    spring, mailing = experiment(alice)
    held_out = record(alice, spring, mailing, EVE, "holdout")
    sent = alice.email(spring, user=EVE)
    at = int(time.time())
    opened = make_event("none", "open", at, email=EVE["email"], category=[mailing])
    bounce = make_event("none", "bounce", at, type="bounce", email=EVE["email"])
    for event in (opened, bounce):
        del event["email_id"], event["sg_message_id"]
    alice.deliver([opened, bounce])
    settle_all()
    assert alice.get(f"/v1/emails/{sent}")["bounced_at"] is not None
    found = alice.get(f"/v1/emails/{held_out}")
    assert (found["bounced_at"], found["opens"]) == (None, 0)


def test_a_started_experiment_accepts_only_new_arms_and_weights(
    alice: University, charlie: University
) -> None:
    spring, mailing = experiment(alice)
    path = f"/v1/mailings/{mailing}/experiment"
    first = alice.get(path)
    assert (first["version"], first["started_at"], first["scope"]) == (1, None, "fundraiser")
    assert put(alice, mailing, window_days=14).json["version"] == 1  # nothing changed
    assert put(alice, mailing, window_days=7, scope="organization").json["version"] == 2
    assert alice.call("DELETE", path).status == 204
    assert alice.call("GET", path).status == 404
    assert alice.call("DELETE", path).status == 404
    assert put(alice, mailing).json["window_days"] == 30
    record(alice, spring, mailing, BOB, "sent")
    assert alice.get(path)["started_at"] is not None
    more = [{"name": "sent", "weight": 0}, ARMS[1], {"name": "third", "weight": 5}]
    assert put(alice, mailing, arms=more).json["version"] == 2
    for change in (
        {"arms": ARMS},
        {"arms": [*more[1:], {**more[0], "held_out": True}]},
        {"arms": more, "window_days": 7},
        {"arms": more, "scope": "organization"},
    ):
        assert put(alice, mailing, **change).status == 409, change
    assert alice.call("DELETE", path).status == 409
    found = alice.get(path)
    assert [arm["name"] for arm in found["arms"]] == ["sent", "holdout", "third"]
    assert found["started_at"] is not None
    for method in ("GET", "DELETE"):
        assert charlie.call(method, path).status == 404
    assert put(charlie, mailing).status == 404


@pytest.mark.parametrize(
    "bad",
    [
        {"arms": ARMS[:1]},
        {"arms": [ARMS[0], ARMS[0]]},
        {"arms": [{**arm, "weight": 0} for arm in ARMS]},
        {"arms": [{**ARMS[0], "weight": -1}, ARMS[1]]},
        {"arms": [{**ARMS[0], "weight": 0.5}, ARMS[1]]},
        {"arms": [{**ARMS[0], "name": " "}, ARMS[1]]},
        {"arms": [{**ARMS[0], "name": "two\nlines"}, ARMS[1]]},
        {"window_days": 0},
        {"window_days": 366},
        {"scope": "everything"},
        {"sent_at": SENT},
    ],
)
def test_a_bad_definition_changes_nothing(alice: University, bad: Any) -> None:
    mailing = alice.mailing(alice.fundraiser())
    assert put(alice, mailing, **bad).status == 422
    assert alice.call("GET", f"/v1/mailings/{mailing}/experiment").status == 404


def test_arms_are_assigned_by_weight_and_repeats_give_the_same_arm(alice: University) -> None:
    spring, mailing = experiment(
        alice, arms=[{"name": "a: b", "weight": 3}, {"name": "hold", "weight": 1, "held_out": True}]
    )
    values = {"fundraiser_id": spring, "mailing_id": mailing}
    emails = []
    for number in range(60):
        user = {"name": "Donor", "email": f"donor{number}@example.edu"}
        key = {"headers": {"Idempotency-Key": f"key-{number}"}}
        first, again = (
            alice.call("POST", "/v1/emails", {**values, "user": user}, **key) for _ in range(2)
        )
        assert first.json == again.json
        emails.append(first.json)
    held_out = [email for email in emails if email["held_out"]]
    assert {email["arm"] for email in held_out} == {"hold"}
    assert 5 <= len(held_out) <= 25
    assert arms(alice, mailing, "recipients") == {
        "a: b": (60 - len(held_out),),
        "hold": (len(held_out),),
    }
    # The arm follows from mailing and user, so another recording gives the same one.
    for email in emails[:10]:
        again = alice.call("POST", "/v1/emails", {**values, "user_id": email["user_id"]})
        assert again.status == 409
        assert alice.call("DELETE", f"/v1/emails/{email['id']}").status == 204
        second = alice.make("emails", **values, user_id=email["user_id"])
        assert (second["arm"], second["held_out"]) == (email["arm"], email["held_out"])
    settle_all()
    assert len(alice.get("/v1/emails?held_out=true")["data"]) == len(held_out)


def test_a_client_may_name_the_arm(alice: University) -> None:
    spring, mailing = experiment(alice)
    values = {"fundraiser_id": spring, "user": BOB}
    for bad in ({"arm": "third", "mailing_id": mailing}, {"arm": "sent"}):
        answer = alice.call("POST", "/v1/emails", {**values, **bad})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/arm")
    nobody = {"fundraiser_id": spring, "mailing_id": mailing, "user_id": UNKNOWN_ID}
    assert alice.call("POST", "/v1/emails", nobody).status == 422
    assert alice.get(f"/v1/mailings/{mailing}/experiment")["started_at"] is None
    plain = alice.mailing(spring)
    answer = alice.call("POST", "/v1/emails", {**values, "mailing_id": plain, "arm": "sent"})
    assert answer.status == 422
    email = alice.make("emails", **values, mailing_id=mailing, arm="holdout")
    assert (email["arm"], email["held_out"]) == ("holdout", True)
    other = alice.make("emails", **values, mailing_id=plain)
    assert (other["arm"], other["held_out"]) == (None, False)


def test_emails_and_gifts_without_an_experiment_store_nothing_more(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at=SENT)
    alice.email(spring, mailing_id=mailing)
    alice.gift(spring, donated_at=GIVEN)
    settle_all()
    stored = {name: get_db()[name].find_one() for name in ("emails", "donations", "users")}
    new = {"arm_id", "held_out", "outcome_from", "outcome_until", "organization_wide"}
    assert new.isdisjoint(stored["emails"])
    assert {"participant_ids", "outcomes_due"}.isdisjoint(stored["donations"])
    assert "enrolled_at" not in stored["users"]
    assert "experiment" not in (get_db().mailings.find_one() or {})
    for name in ("participants", "arms"):
        assert get_db()[name].count_documents({}) == 0


def test_emails_recorded_before_the_experiment_are_not_in_it(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at=SENT)
    before = alice.email(spring, mailing_id=mailing)
    assert put(alice, mailing).status == 200
    alice.gift(spring, donated_at=GIVEN)
    assert givers(alice, mailing) == {"sent": (0, 0, {}), "holdout": (0, 0, {})}
    assert alice.get(f"/v1/emails/{before}")["arm"] is None
