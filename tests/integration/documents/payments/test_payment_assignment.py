"""Payments that cannot become gifts: each is listed with its reason, and staff assign it."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.payments.reasons import ASSIGNABLE_REASONS, REASON_SENTENCES, MissingGiftReason
from jobs.sweep import sweep_due_records
from tests.integration.documents.payments.test_payments import SECRET, gifts, post
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    FIRST_EVENT_AT,
    make_charge_event,
    make_dispute_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_refund_event,
    mark_charge_failed,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

NOWHERE: dict[str, Any] = {"data": [], "next_cursor": None}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return with_secrets("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return with_secrets("Charlie's University", Api.in_process(real_client))


def with_secrets(name: str, api: Api) -> University:
    place = create_university(name, api)
    set_stripe_secret(place)
    place.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return place


def listed(place: University, query: str = "status=unassigned") -> list[Any]:
    settle_all()
    found: list[Any] = place.get(f"/v1/payments?{query}")["data"]
    return found


def assign(place: University, payment: Any, fundraiser: str) -> Any:
    path = f"/v1/payments/{payment['id']}/fundraiser"
    answer = place.call("PUT", path, {"fundraiser_id": fundraiser})
    assert answer.status == 200, answer.content
    return answer.json


def test_a_payment_that_names_no_fundraiser_is_listed_and_becomes_a_gift(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, make_charge_event("succeeded"))
    [payment] = listed(alice)
    assert payment == alice.get(f"/v1/payments/{payment['id']}")
    expected = {
        "provider": "stripe",
        "payment_id": "pi_1",
        "status": "unassigned",
        "reason": "no_fundraiser",
        "detail": "The payment does not name a fundraiser. Assign one.",
        "payment_status": "succeeded",
        "amount": 2500,
        "currency": "USD",
        "refunded_amount": 0,
        "donor": BOB,
        "paid_at": "2025-11-22T08:26:41Z",
        "fundraiser_id": None,
        "donation_id": None,
    }
    assert {name: payment[name] for name in expected} == expected
    done = assign(alice, payment, spring)
    [gift] = gifts(alice)
    assert done | {"status": "assigned", "reason": None, "fundraiser_id": spring} == done
    assert done["donation_id"] == gift["id"]
    assert (gift["external_id"], gift["fundraiser_id"]) == ("pi_1", spring)
    assert listed(alice) == []
    assert [one["id"] for one in listed(alice, "status=assigned")] == [payment["id"]]
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500}


REASONS: dict[MissingGiftReason, Any] = {
    "no_fundraiser": [make_charge_event("succeeded")],
    "unknown_fundraiser": [set_metadata(make_charge_event("succeeded"), fundraiser_id="Spring")],
    "unlinked_invoice": [set_metadata(make_invoice_event("paid", 3), fundraiser_id=UNKNOWN_ID)],
    "no_amount": [
        make_refund_event("refund.created", "re_1", 500, 3),
        make_dispute_event("created", "lost", 4),
    ],
    "unknown_currency": [make_charge_event("succeeded", currency="qqq")],
    "not_paid": [make_intent_event("created", "requires_payment_method")],
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_code_and_a_sentence(
    alice: University, reason: MissingGiftReason
) -> None:
    for event in REASONS[reason]:
        post_stripe_event(alice, event)
    status = "incomplete" if reason == "not_paid" else "unassigned"
    [payment] = listed(alice, f"status={status}")
    assert [payment] == listed(alice, f"reason={reason}") == listed(alice, "")
    assert (payment["reason"], payment["detail"]) == (reason, REASON_SENTENCES[reason])
    assert listed(alice, "status=assigned") == []
    spring = alice.fundraiser()
    path = f"/v1/payments/{payment['id']}/fundraiser"
    answer = alice.call("PUT", path, {"fundraiser_id": spring})
    assert answer.status == (200 if reason in ASSIGNABLE_REASONS else 409)
    post_stripe_event(alice, make_charge_event("updated", 9))  # the missing event arrives now
    post_stripe_event(alice, make_invoice_payment_event(9))
    made = gifts(alice)
    assert len(made) == (1 if reason in ASSIGNABLE_REASONS else 0)
    if reason not in ASSIGNABLE_REASONS:
        [payment] = listed(alice)
        assert payment["reason"] == "no_fundraiser"
        assign(alice, payment, spring)
        made = gifts(alice)
    assert made[0]["fundraiser_id"] == spring
    assert alice.report(spring)["donations"]["count"] == (1 if reason != "no_amount" else 0)


def test_a_payment_in_an_unknown_currency_is_shown_as_reported(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(
        alice,
        set_metadata(
            make_charge_event("succeeded", currency="qqq", amount=1955), fundraiser_id=spring
        ),
    )
    post_stripe_event(
        alice,
        set_metadata(
            make_intent_event("succeeded", "succeeded", currency="usdc"), fundraiser_id=spring
        ),
    )
    at = float(FIRST_EVENT_AT)
    post(alice, "cheque-1", at, spring, currency="ZZZ", amount=77)
    post_stripe_event(alice, make_refund_event("refund.created", "re_1", 5, 3, currency="qqq"))
    shown = {(one["payment_id"], one["amount"], one["currency"]) for one in listed(alice)}
    assert shown == {("pi_1", 1955, "QQQ"), ("cheque-1", 77, "ZZZ")}
    assert gifts(alice) == []
    assert get_db().deliveries.count_documents({"refused_events": 1}) == 4
    post_stripe_event(
        alice,
        set_metadata(
            make_charge_event("updated", 9, currency="bgn", amount=1955), fundraiser_id=spring
        ),
    )
    assert [gift["currency"] for gift in gifts(alice)] == ["BGN"]


@pytest.mark.parametrize("named", [None, "", "  "])
def test_a_post_without_a_fundraiser_is_listed_too(alice: University, named: Any) -> None:
    spring = alice.fundraiser()
    post(alice, "cheque", float(FIRST_EVENT_AT), named, amount=700)
    [payment] = listed(alice)
    assert (payment["provider"], payment["reason"]) == ("payments", "no_fundraiser")
    assign(alice, payment, spring)
    post(alice, "cheque", float(FIRST_EVENT_AT + 5), named, amount=700, refunded_amount=200)
    settle_all()
    assert alice.report(spring)["donations"]["raised"] == {"USD": 500}


def story(fundraiser: str) -> list[Any]:
    """Return events of one payment. Some events name another fundraiser."""
    return [
        set_metadata(make_intent_event("succeeded", "succeeded", 2), fundraiser_id=fundraiser),
        make_charge_event("succeeded", 1),
        make_charge_event("refunded", 5, amount_refunded=1000),
    ]


# Every third order. Each event is the first one twice.
@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_an_assignment_survives_events_in_any_order_and_counts_once(
    alice: University, order: tuple[int, ...]
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    post_stripe_event(alice, mark_charge_failed(make_charge_event("failed", 0)))
    [payment] = listed(alice)
    events = story(autumn)
    for index in order:
        for _ in range(2):  # with each event repeated
            if index == len(events):
                assign(alice, payment, spring)
            else:
                post_stripe_event(alice, events[index])
            sweep_due_records()
    [gift] = gifts(alice)
    assert (gift["fundraiser_id"], gift["status"], gift["refunded_amount"]) == (
        spring,
        "succeeded",
        1000,
    )
    assert alice.report(spring)["donations"]["raised"] == {"USD": 1500}
    assert alice.report(autumn)["donations"]["count"] == 0
    assert alice.get(f"/v1/fundraisers/{autumn}")["raised"] == {}


def test_an_assignment_overrides_the_payments_own_fundraiser(
    alice: University,
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    post_stripe_event(
        alice, set_metadata(make_intent_event("succeeded", "succeeded", 2), fundraiser_id=spring)
    )
    [payment] = listed(alice, "")
    assign(alice, payment, spring)
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded", 3), fundraiser_id=autumn))
    [gift] = gifts(alice)
    assert gift["fundraiser_id"] == spring
    assert alice.report(autumn)["donations"]["count"] == 0


def test_concurrent_assignments_and_events_make_one_gift(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, make_charge_event("succeeded"))
    [payment] = listed(alice)
    events = story(spring)

    def act(number: int) -> int:
        if number % 3:
            assign(alice, payment, spring)
        else:
            post_stripe_event(alice, events[number // 3 % len(events)])
            sweep_due_records()
        return number

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(18)))
    assert len(gifts(alice)) == 1
    assert alice.report(spring)["donations"]["raised"] == {"USD": 1500}


def test_a_gift_moves_to_the_fundraiser_that_is_assigned_later(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    email = alice.email(autumn, sent_at="2025-11-20T00:00:00Z")
    plan = {"fundraiser_id": spring, "recurring_id": "plan"}
    for number in range(5):
        event = set_metadata(
            make_charge_event("succeeded", 60 * number, created=FIRST_EVENT_AT + 60 * number),
            **plan,
        )
        post_stripe_event(alice, named_again(event, number))
        settle_all()
    first, second, *others = sorted(gifts(alice), key=lambda gift: gift["external_id"])
    assert {follows(alice, gift) for gift in (second, *others)} == {first["id"]}
    [payment] = [one for one in listed(alice, "") if one["donation_id"] == first["id"]]
    for _ in range(2):
        assign(alice, payment, autumn)
    settle_all()
    found = alice.get(f"/v1/donations/{first['id']}")
    assert (found["fundraiser_id"], found["match"]) == (autumn, "address")
    assert found["email_id"] == email
    assert follows(alice, second) is None
    assert {follows(alice, gift) for gift in others} == {second["id"]}
    for fundraiser, count in ((spring, 4), (autumn, 1)):
        report = alice.report(fundraiser)["donations"]
        told = (report["count"], report["donors"], report["raised"])
        assert told == (count, 1, {"USD": 2500 * count})
    assign(alice, payment, spring)
    settle_all()
    assert alice.report(autumn)["donations"]["count"] == 0
    assert alice.report(spring)["donations"]["raised"] == {"USD": 12_500}
    assert {follows(alice, gift) for gift in (second, *others)} == {first["id"]}


def follows(place: University, gift: Any) -> Any:
    return place.get(f"/v1/donations/{gift['id']}/match")["follows"]


def named_again(event: Any, number: int = 2) -> Any:
    text = json.dumps(event)
    for id_ in ("pi_1", "ch_1"):
        text = text.replace(f'"{id_}"', f'"{id_}_{number}"')
    return json.loads(text)


def test_a_gift_keeps_its_currency_when_a_later_post_names_an_unknown_one(
    alice: University,
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    post(alice, "gift", float(FIRST_EVENT_AT), spring)
    post(alice, "gift", float(FIRST_EVENT_AT + 5), spring, currency="ZZZ", status="refunded")
    [gift] = gifts(alice)
    assert (gift["currency"], gift["status"]) == ("USD", "succeeded")
    assert get_db().deliveries.count_documents({"refused_events": 1}) == 1
    [payment] = listed(alice, "status=assigned")
    assign(alice, payment, autumn)
    settle_all()
    assert alice.report(autumn)["donations"]["raised"] == {"USD": 2500}
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), fundraiser_id=spring))
    post_stripe_event(
        alice, set_metadata(make_charge_event("updated", 9, currency="qqq"), fundraiser_id=spring)
    )
    assert {gift["currency"] for gift in gifts(alice)} == {"USD"}
    assert get_db().deliveries.count_documents({"refused_events": 1}) == 2
    post(alice, "gift", float(FIRST_EVENT_AT + 9), spring, currency="HRK", amount=100)
    settle_all()
    assert alice.report(autumn)["donations"]["raised"] == {"HRK": 100}


def test_an_assignment_can_be_undone_until_it_makes_a_gift(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, make_invoice_event("paid", 3))
    [payment] = listed(alice)
    path = f"/v1/payments/{payment['id']}/fundraiser"
    assert assign(alice, payment, spring)["status"] == "unassigned"
    for _ in range(2):
        answer = alice.call("DELETE", path)
        assert (answer.status, answer.json["fundraiser_id"]) == (200, None)
    post_stripe_event(alice, make_invoice_payment_event(3))
    assert gifts(alice) == []
    [payment] = listed(alice)
    assert payment["reason"] == "no_fundraiser"
    assert alice.call("GET", path.rpartition("/")[0]).status == 404  # that payment has it
    assign(alice, payment, spring)
    answer = alice.call("DELETE", f"/v1/payments/{payment['id']}/fundraiser")
    assert answer.status == 409
    assert len(gifts(alice)) == 1


def test_an_invoices_assignment_applies_to_its_payment(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, make_invoice_event("paid", 3))
    [payment] = listed(alice)
    assign(alice, payment, spring)
    assert gifts(alice) == []
    post_stripe_event(alice, make_charge_event("succeeded", 1))
    post_stripe_event(alice, make_invoice_payment_event(3))
    [gift] = gifts(alice)
    assert (gift["external_id"], gift["fundraiser_id"]) == ("pi_1", spring)
    assert listed(alice) == []


def test_a_deleted_gift_and_a_gift_that_a_client_recorded_are_not_assigned(
    alice: University,
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    post_stripe_event(alice, make_charge_event("succeeded"))
    [payment] = listed(alice)
    recorded = alice.gift(autumn, external_id="pi_1")
    path = f"/v1/payments/{payment['id']}/fundraiser"
    assert alice.call("PUT", path, {"fundraiser_id": spring}).status == 409
    assert listed(alice) == []
    assert alice.get(f"/v1/donations/{recorded}")["fundraiser_id"] == autumn
    post_stripe_event(alice, named_again(make_charge_event("succeeded")))
    [payment] = listed(alice)
    gift = assign(alice, payment, spring)["donation_id"]
    settle_all()
    assert alice.call("DELETE", f"/v1/donations/{gift}").status == 204
    path = f"/v1/payments/{payment['id']}/fundraiser"
    for fundraiser in (spring, autumn):
        assert alice.call("PUT", path, {"fundraiser_id": fundraiser}).status == 409
    post_stripe_event(alice, named_again(make_charge_event("updated", 9)))
    settle_all()
    assert alice.report(spring)["donations"]["count"] == 0


def test_other_organizations_cannot_see_or_assign_a_payment(
    alice: University, charlie: University
) -> None:
    spring, his = alice.fundraiser(), charlie.fundraiser()
    post_stripe_event(alice, make_charge_event("succeeded"))
    [payment] = listed(alice)
    assert charlie.get("/v1/payments") == NOWHERE
    path = f"/v1/payments/{payment['id']}"
    for verb, at, body in (
        ("GET", path, None),
        ("PUT", f"{path}/fundraiser", {"fundraiser_id": his}),
        ("DELETE", f"{path}/fundraiser", None),
        ("PUT", "/v1/payments/nonsense/fundraiser", {"fundraiser_id": his}),
        ("PUT", f"/v1/payments/{ObjectId()}/fundraiser", {"fundraiser_id": his}),
    ):
        assert charlie.call(verb, at, body).status == 404
    answer = alice.call("PUT", f"{path}/fundraiser", {"fundraiser_id": his})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/fundraiser_id")
    for bad in ({}, {"fundraiser_id": None}, {"fundraiser_id": "x"}, {"fundraiser_id": [spring]}):
        assert alice.call("PUT", f"{path}/fundraiser", bad).status == 422
    assert [one["reason"] for one in listed(alice)] == ["no_fundraiser"]


def test_the_payment_list_is_paged(alice: University) -> None:
    for number in range(7):
        post(alice, f"gift-{number}", float(FIRST_EVENT_AT), UNKNOWN_ID)
        settle_all()
    for query in ("", "status=unassigned", "reason=unknown_fundraiser", "sort=created_at"):
        seen: list[str] = []
        cursor = ""
        while True:
            page = alice.get(f"/v1/payments?limit=3&{query}{cursor}")
            seen += [one["payment_id"] for one in page["data"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        order = [f"gift-{number}" for number in range(7)]
        assert seen == (order if query == "sort=created_at" else order[::-1]), query
    for bad in ("status=paid", "reason=none", "sort=amount"):
        assert alice.call("GET", f"/v1/payments?{bad}").status == 422
    assert alice.call("GET", "/v1/payments?cursor=x").status == 400


def test_a_payment_keeps_an_id_that_names_a_person_until_erasure(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    post(alice, "bob@example.edu/1", float(FIRST_EVENT_AT), UNKNOWN_ID)
    [payment] = listed(alice)
    assert payment["payment_id"] == "bob@example.edu/1"
    assign(alice, payment, spring)
    [gift] = gifts(alice)
    assert gift["external_id"] == "bob@example.edu/1"
    post(alice, "bob@example.edu/2", float(FIRST_EVENT_AT), UNKNOWN_ID)
    assert len(listed(alice)) == 1
    user = alice.make("users", **BOB)["id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    [payment] = listed(alice)
    assert "bob" not in json.dumps(payment)
    assert not list(get_db().payments.find({"key": {"$regex": "bob"}}))


@pytest.mark.parametrize("key", ["bob@example.edu/1", "cheque:7", "bob.donor.3"])
def test_an_erased_payment_that_is_assigned_later_stays_one_gift(
    alice: University, key: str
) -> None:
    spring = alice.fundraiser()
    post(alice, key, float(FIRST_EVENT_AT), UNKNOWN_ID, donor=BOB)
    [payment] = listed(alice)
    user = alice.make("users", **BOB)["id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    assign(alice, payment, spring)
    [gift] = gifts(alice)
    body = {"fundraiser_id": spring, "amount": 2500, "currency": "USD", "external_id": key}
    again = alice.call("POST", "/v1/donations", body)
    assert (again.status, again.json["id"]) == (200, gift["id"])
    post(alice, key, float(FIRST_EVENT_AT + 5), spring, donor=BOB)
    assert len(gifts(alice)) == 1


def test_a_payment_finds_a_clients_gift_whose_donor_was_erased(alice: University) -> None:
    spring = alice.fundraiser()
    user = alice.make("users", **BOB)["id"]
    alice.gift(spring, 2500, BOB, external_id="bob@example.edu/1")
    settle_all()
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    post(alice, "bob@example.edu/1", float(FIRST_EVENT_AT), spring, donor=BOB, status="failed")
    [gift] = gifts(alice)
    assert (gift["status"], gift["donor"]["name"]) == ("failed", "(erased)")


def test_a_withdrawn_currency_is_accepted_in_every_input(alice: University) -> None:
    spring = alice.fundraiser(goal={"amount": 100, "currency": "HRK"})
    alice.mailing(spring, cost={"amount": 100, "currency": "CUC"})
    alice.gift(spring, 1955, currency="ANG")
    money: dict[str, Any] = {"currency": "bgn", "amount": 1955, "amount_captured": 1955}
    post_stripe_event(
        alice, set_metadata(make_charge_event("succeeded", **money), fundraiser_id=spring)
    )
    post(alice, "old", float(FIRST_EVENT_AT), spring, currency="ITL", amount=50_000)
    settle_all()
    raised = {"ANG": 1955, "BGN": 1955, "ITL": 50_000}
    assert alice.report(spring)["donations"]["raised"] == raised
    body = {"fundraiser_id": spring, "amount": 1, "currency": "QQQ", "donor": BOB}
    answer = alice.call("POST", "/v1/donations", body)
    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "currency"
