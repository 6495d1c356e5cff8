"""An experiment counts gifts by intention to treat, and held-out emails are in no other figure."""

from typing import Any

import pytest
from falcon import testing

from tools.testbed.cast import BOB, Api, University, create_university
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
