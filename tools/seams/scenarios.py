"""The scenarios: each acknowledging request, and each job."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.privacy import erasure, retention
from documents.recount.background import SteadyRecount
from documents.storage.marks import DUE_FILTER
from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import MachineClickRule
from documents.webhook_key import SHARED_ACCOUNTS_ID, WebhookKey
from jobs import tasks
from jobs.sweep import sweep_due_records
from tools.testbed.cast import (
    BOB,
    University,
    create_university,
    export_public_key,
    make_event,
    sign_webhook,
)
from tools.testbed.stripe_events import (
    make_charge_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

FIRST_EVENT_AT = 1_700_000_000
EVE = {"name": "Eve", "email": "eve@example.org"}
ZOE = {"name": "Zoe", "email": "zoe@example.edu"}
Given = dict[str, Any]
BOB_USER_KEY = "bob's user"
RETENTION_CUTOFF = datetime.now(UTC) + timedelta(days=1)


@dataclass(frozen=True)
class Scenario:
    """The preparation, the act of the killed process, and the expected results.

    again: whether the client repeats an unanswered request. The sweep finds jobs.
    raised: the fundraiser's expected sum, in cents of USD.
    """

    prepare: Callable[[University, Given], None]
    act: Callable[[University, Given], Any]
    again: bool
    raised: int
    gifts: int
    opens: int = 0


def prepare_scene(place: University) -> Given:
    """Create a mailing with two emails, and count everything."""
    spring = place.fundraiser()
    mailing = place.mailing(spring, cost={"amount": 100, "currency": "USD"})
    bob = place.email(spring, mailing_id=mailing)
    eve = place.email(spring, EVE, mailing_id=mailing)
    sweep_due_records()
    return {
        "organization_id": place.id,
        "key": place.key,
        "spring": spring,
        "mailing": mailing,
        "bob": bob,
        "eve": eve,
    }


def make_gift_body(given: Given, **more: Any) -> dict[str, Any]:
    return {
        "fundraiser_id": given["spring"],
        "amount": 2500,
        "currency": "USD",
        "donor": BOB,
        "email_id": given["bob"],
        **more,
    }


def prepare_nothing(place: University, given: Given) -> None:
    """Prepare nothing beyond the scene."""


def prepare_settled_gift(place: University, given: Given) -> None:
    given["gift"] = place.make("donations", **make_gift_body(given))["id"]
    sweep_due_records()


def prepare_new_gift(place: University, given: Given) -> None:
    given["gift"] = place.make("donations", **make_gift_body(given))["id"]


def prepare_refunded_gift(place: University, given: Given) -> None:
    prepare_settled_gift(place, given)
    place.call("PATCH", f"/v1/donations/{given['gift']}", {"refunded_amount": 400})


def prepare_deleted_gift(place: University, given: Given) -> None:
    prepare_settled_gift(place, given)
    place.call("DELETE", f"/v1/donations/{given['gift']}")


def prepare_deleted_email(place: University, given: Given) -> None:
    prepare_settled_gift(place, given)
    place.call("DELETE", f"/v1/emails/{given['bob']}")


def prepare_new_email(place: University, given: Given) -> None:
    given["new"] = place.email(given["spring"], EVE, mailing_id=given["mailing"])


def prepare_new_mailing(place: University, given: Given) -> None:
    given["new"] = place.mailing(given["spring"], cost={"amount": 50, "currency": "USD"})


def prepare_webhook(place: University, given: Given) -> None:
    events = [
        make_event(given[who], "open", FIRST_EVENT_AT + n) for who in ("bob", "eve") for n in (0, 1)
    ]
    given["body"] = json.dumps([*events, events[0], None])
    given["headers"] = sign_webhook(place.signing_key, given["body"].encode())


def prepare_delivery(place: University, given: Given) -> None:
    prepare_webhook(place, given)
    post_webhook(place, given)
    row = get_db().deliveries.find_one()
    assert row
    given["delivery"] = str(row["_id"])


def prepare_shared_webhook(place: University, given: Given) -> None:
    """Prepare a post of the operator's account about two universities, and about no known email."""
    WebhookKey.put(SHARED_ACCOUNTS_ID, "sendgrid", export_public_key(place.signing_key))
    other = create_university("Charlie's University", place.api)
    theirs = other.email(other.fundraiser())
    prepare_webhook(place, given)
    events = [*json.loads(given["body"]), *(make_event(who, "open", 1) for who in (theirs, ""))]
    given["body"] = json.dumps(events)
    given["headers"] = sign_webhook(place.signing_key, given["body"].encode())


def post_shared_webhook(place: University, given: Given) -> None:
    body, headers = given["body"].encode(), given["headers"]
    answer = place.api.call("POST", "/v1/webhooks/sendgrid", body=body, headers=headers)
    assert answer.status == 202


def prepare_shared_post(place: University, given: Given) -> None:
    prepare_shared_webhook(place, given)
    post_shared_webhook(place, given)
    row = get_db().shared_posts.find_one()
    assert row
    given["post"] = str(row["_id"])


def prepare_tallied_clicks(place: University, given: Given) -> None:
    """Count opens by Bob and Eve, and Bob's clicks."""
    prepare_delivery(place, given)
    clicks = [
        make_event(given["bob"], "click", FIRST_EVENT_AT + n, url=f"https://x/{n}")
        for n in (60, 90)
    ]
    body = json.dumps(clicks).encode()
    headers = sign_webhook(place.signing_key, body)
    place.api.call("POST", f"/v1/webhooks/sendgrid/{place.id}", body=body, headers=headers)
    row = get_db().emails.find_one({"_id": ObjectId(given["bob"])})
    assert row
    given[BOB_USER_KEY] = str(row["user_id"])
    sweep_due_records()


def prepare_erased_user(place: University, given: Given) -> None:
    prepare_tallied_clicks(place, given)
    place.call("DELETE", f"/v1/users/{given[BOB_USER_KEY]}?erase=true")


def prepare_late_delivery(place: University, given: Given) -> None:
    """Report an open, then record its email, which makes the event due."""
    opened = make_event(
        "x", "open", FIRST_EVENT_AT, email="zoe@example.edu", category=given["mailing"]
    )
    body = json.dumps([opened]).encode()
    headers = sign_webhook(place.signing_key, body)
    place.api.call("POST", f"/v1/webhooks/sendgrid/{place.id}", body=body, headers=headers)
    sweep_due_records()
    zoe = {"name": "Zoe", "email": "zoe@example.edu"}
    given["new"] = place.email(given["spring"], zoe, mailing_id=given["mailing"])


def prepare_stranger_gift(place: University, given: Given) -> None:
    """Record a gift from an address that belongs to no user."""
    zoe = {"name": "Zoe", "email": "zoe@example.edu"}
    place.make("donations", **make_gift_body(given, donor=zoe, email_id=""))
    sweep_due_records()


def prepare_moved_user(place: University, given: Given) -> None:
    """Give Eve Zoe's address, and with it Zoe's gift."""
    prepare_stranger_gift(place, given)
    user_id = place.get(f"/v1/emails/{given['eve']}")["user_id"]
    place.call("PATCH", f"/v1/users/{user_id}", {"email": "zoe@example.edu"})
    given["user"] = user_id


def prepare_pinned_gift(place: University, given: Given) -> None:
    prepare_settled_gift(place, given)
    place.call("PUT", f"/v1/donations/{given['gift']}/match", {"email_id": given["eve"]})


def prepare_instalments(place: University, given: Given) -> None:
    """Settle two instalments, then add an earlier one. The others must follow its match."""
    for day in ("2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"):
        plan = {"recurring_id": "plan", "donated_at": day}
        place.make("donations", **make_gift_body(given, amount=100, **plan))
    sweep_due_records()
    first = {"recurring_id": "plan", "donated_at": "2025-01-01T00:00:00Z"}
    given["gift"] = place.make(
        "donations", **make_gift_body(given, email_id=given["eve"], **first)
    )["id"]


def prepare_late_click(place: University, given: Given) -> None:
    """Report a click on an older email of Bob's, after the gift that the click may have led to."""
    older = place.email(given["spring"], sent_at="2025-01-01T00:00:00Z")
    day = {"donated_at": "2025-01-10T00:00:00Z"}
    place.email(given["spring"], sent_at="2025-01-02T00:00:00Z")
    given["gift"] = place.make("donations", **make_gift_body(given, email_id="", **day))["id"]
    sweep_due_records()
    clicked = make_event(older, "open", 1_736_000_000)  # 2025-01-04
    body = json.dumps([clicked]).encode()
    headers = sign_webhook(place.signing_key, body)
    place.api.call("POST", f"/v1/webhooks/sendgrid/{place.id}", body=body, headers=headers)
    row = get_db().deliveries.find_one()
    assert row
    given["delivery"] = str(row["_id"])


def prepare_stripe_secret(place: University, given: Given) -> None:
    set_stripe_secret(place)
    paid = set_metadata(
        make_charge_event("succeeded"), fundraiser_id=given["spring"], email_id=given["bob"]
    )
    given["event"] = paid


def post_stripe(place: University, given: Given) -> None:
    assert post_stripe_event(place, given["event"]).status == 202


def prepare_stripe_delivery(place: University, given: Given) -> None:
    """Report a partial refund first, and the gift's fundraiser second."""
    prepare_stripe_secret(place, given)
    back = make_charge_event("refunded", 5, amount_refunded=400)
    post_stripe_event(place, back)
    sweep_due_records()
    given["event"] = set_metadata(back, **given["event"]["data"]["object"]["metadata"])
    post_stripe(place, given)
    row = get_db().deliveries.find_one(DUE_FILTER)
    assert row
    given["delivery"] = str(row["_id"])


def import_two_emails(place: University, given: Given) -> None:
    line = {"fundraiser_id": given["spring"], "mailing_id": given["mailing"]}
    _import_lines(place, "emails", [line | {"user": who} for who in (BOB, ZOE)])


def import_two_users(place: University, given: Given) -> None:
    _import_lines(place, "users", [BOB, ZOE])


def import_three_gifts(place: University, given: Given) -> None:
    """Import two equal gifts without an ID, and one with an ID."""
    cash = {"mailing_id": given["mailing"], "amount": 2500, "currency": "USD"}
    _import_lines(place, "donations", [cash, make_gift_body(given, external_id="x"), cash])


def _import_lines(place: University, records: str, lines: list[Any]) -> None:
    body = "\n".join(map(json.dumps, lines)).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = place.call("POST", f"/v1/{records}/import", body=body, headers=headers)
    assert (answer.status, answer.json["refused_count"]) == (200, 0), answer.content


def relabel_clicks(place: University, given: Given) -> None:
    rule = MachineClickRule(links=1)
    while Relabelling.continue_with(rule).step(rule):
        pass


def prepare_everything_due(place: University, given: Given) -> None:
    prepare_settled_gift(place, given)
    place.make("donations", **make_gift_body(given, amount=100))
    prepare_new_email(place, given)
    prepare_delivery(place, given)


def prepare_poisoned_gift(place: University, given: Given) -> None:
    """Break Bob's email, so that his gift cannot be settled but Eve's can."""
    where = {"_id": ObjectId(given["bob"])}
    get_db().emails.update_one(where, {"$set": {"donations_count": "many"}})
    prepare_new_gift(place, given)
    place.make("donations", **make_gift_body(given, amount=100, donor=EVE, email_id=given["eve"]))


def post_webhook(place: University, given: Given) -> None:
    path = f"/v1/webhooks/sendgrid/{place.id}"
    body, headers = given["body"].encode(), given["headers"]
    assert place.api.call("POST", path, body=body, headers=headers).status == 202


def post_record(noun: str, body: Callable[[Given], Any], **headers: str) -> Callable[..., None]:
    def act(place: University, given: Given) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = place.call("POST", f"/v1/{noun}", body(given), headers=sent)
        assert answer.status in (200, 201), answer.content

    return act


def change(method: str, path: str, body: Any = None) -> Callable[..., None]:
    def act(place: University, given: Given) -> None:
        answer = place.call(method, path.format(**given), body)
        assert answer.status in (200, 204, 404), answer.content

    return act


def run_job(task: Any, name: str) -> Callable[..., None]:
    return lambda place, given: task.call_local(given[name])


def _requests() -> dict[str, Scenario]:
    email = post_record(
        "emails",
        lambda given: {
            "fundraiser_id": given["spring"],
            "mailing_id": given["mailing"],
            "user": ZOE,
        },
        Idempotency_Key="email-1",
    )
    gift = "/v1/donations/{gift}"
    return {
        "POST /v1/donations, external_id": Scenario(
            prepare_nothing,
            post_record("donations", lambda given: make_gift_body(given, external_id="x")),
            True,
            2500,
            1,
        ),
        "POST /v1/donations, Idempotency-Key": Scenario(
            prepare_nothing,
            post_record("donations", make_gift_body, Idempotency_Key="gift-1"),
            True,
            2500,
            1,
        ),
        "PATCH /v1/donations, part refund": Scenario(
            prepare_settled_gift, change("PATCH", gift, {"refunded_amount": 400}), True, 2100, 1
        ),
        "PATCH /v1/donations, refunded": Scenario(
            prepare_settled_gift, change("PATCH", gift, {"status": "refunded"}), True, 0, 0
        ),
        "DELETE /v1/donations": Scenario(prepare_settled_gift, change("DELETE", gift), True, 0, 0),
        "POST /v1/emails": Scenario(prepare_nothing, email, True, 0, 0),
        "DELETE /v1/emails": Scenario(
            prepare_settled_gift, change("DELETE", "/v1/emails/{bob}"), True, 2500, 1
        ),
        "POST /v1/emails/import": Scenario(prepare_nothing, import_two_emails, True, 0, 0),
        "POST /v1/users/import": Scenario(prepare_nothing, import_two_users, True, 0, 0),
        "POST /v1/donations/import": Scenario(prepare_nothing, import_three_gifts, True, 7500, 3),
        "DELETE /v1/users, erase": Scenario(
            prepare_tallied_clicks,
            change("DELETE", "/v1/users/{bob's user}?erase=true"),
            True,
            0,
            0,
            4,
        ),
        "PUT /v1/donations/match": Scenario(
            prepare_settled_gift, change("PUT", f"{gift}/match", {"email_id": None}), True, 2500, 1
        ),
        "PATCH /v1/users, address": Scenario(
            prepare_moved_user,
            change("PATCH", "/v1/users/{user}", {"email": "zoe@new.edu"}),
            True,
            2500,
            1,
        ),
        "POST /v1/webhooks/stripe": Scenario(prepare_stripe_secret, post_stripe, True, 2500, 1),
        "POST /v1/webhooks/sendgrid, shared": Scenario(
            prepare_shared_webhook, post_shared_webhook, True, 0, 0, 4
        ),
        "POST /v1/webhooks/sendgrid": Scenario(prepare_webhook, post_webhook, True, 0, 0, 4),
    }


def _jobs() -> dict[str, Scenario]:
    settle = run_job(tasks.update_email_donation, "gift")
    return {
        "update_email_donation, new gift": Scenario(prepare_new_gift, settle, False, 2500, 1),
        "update_email_donation, part refund": Scenario(
            prepare_refunded_gift, settle, False, 2100, 1
        ),
        "update_email_donation, deleted gift": Scenario(prepare_deleted_gift, settle, False, 0, 0),
        "update_email_donation, pinned": Scenario(prepare_pinned_gift, settle, False, 2500, 1),
        "update_email_donation, first instalment": Scenario(
            prepare_instalments, settle, False, 2700, 3
        ),
        "follow_user, moved": Scenario(
            prepare_moved_user, run_job(tasks.follow_user, "user"), False, 2500, 1
        ),
        "tally_delivery, late click": Scenario(
            prepare_late_click, run_job(tasks.tally_delivery, "delivery"), False, 2500, 1, 1
        ),
        "count_email, new email": Scenario(
            prepare_new_email, run_job(tasks.count_email, "new"), False, 0, 0
        ),
        "count_email, deleted email with a gift": Scenario(
            prepare_deleted_email, run_job(tasks.count_email, "bob"), False, 2500, 1
        ),
        "count_mailing": Scenario(
            prepare_new_mailing, run_job(tasks.count_mailing, "new"), False, 0, 0
        ),
        "tally_delivery": Scenario(
            prepare_delivery, run_job(tasks.tally_delivery, "delivery"), False, 0, 0, 4
        ),
        "route_shared_post": Scenario(
            prepare_shared_post, run_job(tasks.route_shared_post, "post"), False, 0, 0, 4
        ),
        "tally_delivery, stripe": Scenario(
            prepare_stripe_delivery, run_job(tasks.tally_delivery, "delivery"), False, 2100, 1
        ),
        "sweep, everything due": Scenario(
            prepare_everything_due, lambda place, given: sweep_due_records(), False, 2600, 2, 4
        ),
        "sweep, a gift that cannot be settled": Scenario(
            prepare_poisoned_gift, lambda place, given: sweep_due_records(), False, 2600, 2
        ),
        "count_email, reported of before": Scenario(
            prepare_late_delivery, run_job(tasks.count_email, "new"), False, 0, 0, 1
        ),
        "erase": Scenario(
            prepare_erased_user,
            lambda place, given: erasure.erase_user(ObjectId(given[BOB_USER_KEY])),
            False,
            0,
            0,
            4,
        ),
        "drop old events": Scenario(
            prepare_tallied_clicks,
            lambda place, given: retention.drop_events(RETENTION_CUTOFF),
            False,
            0,
            0,
            4,
        ),
        "relabel": Scenario(prepare_tallied_clicks, relabel_clicks, False, 0, 0, 4),
        "steady recount": Scenario(
            prepare_settled_gift,
            lambda place, given: SteadyRecount.current().step(),
            False,
            2500,
            1,
        ),
    }


SCENARIOS = _requests() | _jobs()
