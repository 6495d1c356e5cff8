"""Dora's whole history in the service: only figures stay after her erasure."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.outgoing.bodies import build_bodies
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from jobs.warehouse.duckdb import DuckDB
from tests.integration.documents.payments.test_payments import SECRET, post
from tools.testbed.cast import UNKNOWN_ID, University, make_event
from tools.testbed.pages import Browser, add_staff
from tools.testbed.privacy import WantedPerson, has_person, search_everywhere
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    make_charge_event,
    make_dispute_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_refund_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)
from tools.testbed.warehouse_contents import compute_contents, export_all, read_contents

DORA = {"name": "Dora Quill", "email": "d.hawk@example.org"}
BEFORE = {"name": "Dora Quill", "email": "dq@old.example.net"}
OTHERS = [
    {"name": "Pandora Quill", "email": "bad.hawk@example.org"},
    {"name": "Dora Quill", "email": "d.hawk@example.org.uk"},
    {"name": "Theodora Quillon", "email": "d.hawk@example.organic"},
    {"name": "Dora Smith", "email": "dora@example.org"},
]
WANTED = (
    WantedPerson("d.hawk", "example.org", "dora quill"),
    WantedPerson("dq", "old.example.net", "dora quill"),
)
AT = 1_763_000_000
SITE = "https://give.example.edu"


def in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


URLS = [
    f"{SITE}/donors/d.hawk%40example.org/give?x=1",
    f"{SITE}/give?who=d.hawk%2540example.org&utm_source=spring",
    f"{SITE}/u/{in_base64(DORA['email'])}?y=2",
    f"{SITE}/give?data={in_base64(json.dumps(DORA))}",
    f"{SITE}/give?name=Dora+Quill&z=3",
    f"{SITE}/give/Quill%2C%20Dora",
    f"{SITE}/give?to=Ｄ.hawk＠example.org",
    f"{SITE}/give?h=d.hawk&#64;example.org",
    f"{SITE}/give#D.HAWK+tag@EXAMPLE.ORG",
]


@pytest.fixture
def life(ann: University, exporting: pytest.MonkeyPatch, real_client: testing.TestClient) -> "Life":
    exporting.setenv("MATCHBACK_WAREHOUSE_PERSONAL_DATA", "true")
    get_settings.cache_clear()
    list(run_migrations(MIGRATIONS))  # so that an erasure finds payments by their index
    return Life(ann, real_client)


class Life:
    """Dora's records among people who look like her. `sent` lists the posts, to send again."""

    def __init__(self, place: University, client: testing.TestClient) -> None:
        self.place, self.client = place, client
        set_stripe_secret(place)
        place.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
        WebhookEndpoint.add(ObjectId(place.id), "https://crm.example.edu/hook")
        self.spring = place.fundraiser()
        self.mailing = place.mailing(self.spring)
        self.sent: list[Any] = []
        self.others = [self.email_to(one) for one in OTHERS]
        self.first = self.email_to(BEFORE)
        self.user = place.get(f"/v1/emails/{self.first}")["user_id"]
        assert place.call("PATCH", f"/v1/users/{self.user}", {"email": DORA["email"]}).status == 200
        self.email = self.email_to(DORA)
        self.live()
        settle_all()

    def email_to(self, person: dict[str, str]) -> str:
        return self.place.email(
            self.spring, person, mailing_id=self.mailing, sent_at="2025-11-01T00:00:00Z"
        )

    def live(self) -> None:
        self.is_imported()
        self.gives()
        self.clicks()
        self.pays()
        self.is_looked_at()

    def is_imported(self) -> None:
        line = {"fundraiser_id": self.spring, "user": DORA, "sent_at": "2025-11-02T00:00:00Z"}
        body = "\n".join(
            json.dumps(one) for one in (line, {**line, "user": {**DORA, "email": "x"}})
        )
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self.place.call("POST", "/v1/emails/import", body=body.encode(), headers=headers)
        assert answer.json["created"] >= 1, answer.content

    def gives(self) -> None:
        token = self.place.get(f"/v1/emails/{self.email}")["link_token"]
        for number, reference in enumerate((token, DORA["email"], "d.hawk+x@example.org", None)):
            gift = {
                "external_id": f"d.hawk@example.org-{number}",
                "recurring_id": "monthly:d.hawk%40example.org",
                "email_id": reference,
                "donated_at": f"2025-11-{10 + number}T00:00:00Z",
            }
            self.place.gift(self.spring, 1000, DORA, **gift)
        self.place.gift(self.spring, 1500, BEFORE, external_id="Quill, Dora #7")
        tagged = {**DORA, "email": "D.Hawk+gala@Example.org"}
        made = self.place.gift(self.spring, 1700, tagged, recurring_id="dora-quill-yearly")
        self.place.call("PUT", f"/v1/donations/{made}/match", {"email_id": self.first})
        settle_all()
        self.place.call("DELETE", f"/v1/donations/{made}/match")
        for person, email in zip(OTHERS, self.others, strict=True):
            self.place.gift(self.spring, 2000, person, email_id=email, external_id=person["email"])
        body = {"fundraiser_id": self.spring, "amount": 900, "currency": "USD", "donor": DORA}
        headers = {"Idempotency-Key": "dora-1"}
        assert self.place.call("POST", "/v1/donations", body, headers=headers).status == 201

    def deliver(self, events: list[Any] | None, body: bytes | None = None) -> None:
        self.sent.append((events, body))
        assert self.place.deliver(events, body=body).status == 202

    def clicks(self) -> None:
        to, told = {"email": DORA["email"]}, []
        for number, url in enumerate(URLS):
            told.append(make_event(self.email, "click", AT + 60 * number, url=url, **to))
        for number, (person, email) in enumerate(zip(OTHERS, self.others, strict=True)):
            who = {"email": person["email"]}
            told.append(make_event(email, "open", AT + number, **who))
            url = f"{SITE}/give?who={quote(person['email'])}&x={number}"
            told.append(make_event(email, "click", AT + 600 * number, url=url, **who))
        self.deliver(told)
        forwarded = {"email": OTHERS[0]["email"], "url": f"{SITE}/shared/d.hawk@example.org/x"}
        self.deliver([make_event(self.others[0], "click", AT + 5000, **forwarded)])
        self.deliver(
            [
                make_event(
                    self.others[3], "click", AT + 6000, **{**forwarded, "email": "dora@example.org"}
                )
            ]
        )
        opened = make_event(
            self.email, "open", AT + 7000, **to, useragent="Mail d.hawk@example.org"
        )
        self.deliver([opened, {**opened, "sg_event_id": "another"}, opened])
        self.deliver(
            [
                make_event(
                    UNKNOWN_ID, "open", AT + 1, email="d.hawk+x@example.org", sg_message_id="u1"
                )
            ]
        )
        self.deliver(
            [make_event(UNKNOWN_ID, "open", AT + 2, email="dq@old.example.net", sg_message_id="u2")]
        )
        self.deliver(
            [make_event(UNKNOWN_ID, "open", AT + 3, email=OTHERS[1]["email"], sg_message_id="u3")]
        )
        self.deliver([{"email": DORA["email"], "event": "open", "name": "Dora Quill"}])  # no time
        escaped = json.dumps([make_event(self.email, "open", AT + 9000, **to)]).replace(
            "@", "\\u0040"
        )
        self.deliver(None, escaped.encode())
        self.deliver(None, b"no array, but d.hawk=40example.org")

    def tell(self, event: Any) -> None:
        self.sent.append(event)
        assert post_stripe_event(self.place, event).status == 202

    def pays(self) -> None:
        customer = {"id": "cus_1", "object": "customer", "phone": "+1 555 0100"}
        details = {"billing_details": DORA, "customer": "cus_1"}
        named = {"fundraiser_id": self.spring, "recurring_id": "plan Dora Quill"}
        self.tell(
            set_metadata(make_charge_event("succeeded", 1, **details), **named, email_id=self.email)
        )
        self.tell(
            set_metadata(
                make_intent_event("succeeded", "succeeded", 2, receipt_email=DORA["email"]), **named
            )
        )
        self.tell(
            make_invoice_event("paid", 3, customer_email=DORA["email"], customer_name="Dora Quill")
        )
        self.tell(make_invoice_payment_event(3))
        self.tell(
            make_refund_event("refund.created", "re_1", 500, 4, metadata={"for": "Dora Quill"})
        )
        self.tell(
            set_metadata(make_charge_event("refunded", 5, amount_refunded=500, **details), **named)
        )
        self.tell(make_dispute_event("created", "warning_needs_response", 6))
        for number, more in enumerate(
            ({"email": DORA["email"], "name": "Dora Quill"}, {"name": "D. Quill"})
        ):
            self.tell(customer_event(number, customer | more))
        session = {"id": "cs_1", "object": "checkout.session", "customer_details": DORA}
        self.tell(customer_event(9, session, "checkout.session.completed"))
        self.tell(
            make_charge_event("succeeded", 8, id="ch_9", payment_intent=None, billing_details=DORA)
        )
        other = make_charge_event(
            "succeeded", 1, id="ch_2", payment_intent=None, billing_details=OTHERS[0]
        )
        self.tell(set_metadata(other, fundraiser_id=self.spring, honoree="d.hawk@example.org"))
        self.tell(customer_event(7, {"id": "cus_2", "object": "customer", **OTHERS[1]}))
        for person, key in ((DORA, "d.hawk@example.org/1"), (OTHERS[2], "pi_1_2")):
            self.sent.append((key, person))
            answer = post(self.place, key, AT, self.spring, donor=person, recurring_id=f"of {key}")
            assert answer.status == 202

    def is_looked_at(self) -> None:
        add_staff(self.place.id, "staff@example.edu")
        browser = Browser(self.client)
        browser.sign_in(DORA["email"], "a wrong password for her")
        browser.sign_in("staff@example.edu")
        for text in ("d.hawk@example.org", "Dora Quill"):
            path = f"/dashboard/mailings/{self.mailing}"
            assert browser.get(path, query_string=f"q={quote(text)}").status_code == 200

    def figures(self) -> list[Any]:
        found = [
            self.place.report(self.spring),
            self.place.get(f"/v1/mailings/{self.mailing}/report"),
            [
                {name: link[name] for name in ("clicks", "emails", "machine_clicks")}
                for link in self.place.get(f"/v1/mailings/{self.mailing}/links")["data"]
            ],
        ]
        for report in found[:2]:
            del report["as_of"], report["unmatched_events"]
        return found

    def of_others(self) -> dict[str, Any]:
        """Return all stored data of the others, except the times of checks."""
        database = get_db()
        users = list(
            database.users.find(
                {
                    "name": {"$in": [one["name"] for one in OTHERS]},
                    "_id": {"$ne": ObjectId(self.user)},
                }
            )
        )
        assert len(users) == len(OTHERS)
        emails = list(database.emails.find({"user_id": {"$in": [user["_id"] for user in users]}}))
        email_ids = [email["_id"] for email in emails]
        return {
            "users": users,
            "emails": emails,
            "gifts": list(
                database.donations.find({"user_id": {"$in": [user["_id"] for user in users]}})
            ),
            "clickers": list(database.clickers.find({"email_id": {"$in": email_ids}})),
            "events": list(
                database.events.find(
                    {
                        "$or": [
                            {"email_id": {"$in": email_ids}},
                            {"unmatched": OTHERS[1]["email"]},
                        ],
                        "url": {"$not": {"$regex": "shared"}},
                    }
                )
            ),
            "items": [
                item
                for item in self.items()
                if any(one["email"] == item.get("email") for one in OTHERS)
                and "shared" not in item.get("url", "")
            ],
            "posts": [
                item for item in self.items() if "cus_2" in str(item) or "pi_1_2" in str(item)
            ],
        }

    def items(self) -> Iterator[dict[str, Any]]:
        for row in get_db().deliveries.find():
            try:
                body = json.loads(row["body"])
            except ValueError:
                continue
            yield from body if isinstance(body, list) else [body]

    def send_again(self) -> None:
        for one in self.sent:
            if isinstance(one, dict):
                assert post_stripe_event(self.place, one).status == 202
            elif isinstance(one[0], str):
                post(self.place, one[0], AT, self.spring, donor=one[1], recurring_id=f"of {one[0]}")
            elif one[0] is None or len(one[0]) > 1 or one[0][0].get("email_id") != UNKNOWN_ID:
                assert self.place.deliver(one[0], body=one[1]).status == 202


def customer_event(
    at: int, thing: dict[str, Any], type_: str = "customer.updated"
) -> dict[str, Any]:
    data = {"object": thing}
    return {
        "id": f"evt_{at}_{type_}",
        "object": "event",
        "type": type_,
        "created": AT + at,
        "data": data,
    }


def places(warehouse: DuckDB, logs: str = "") -> set[str]:
    """Return where Dora remains. Text about another person of her name is not a trace of her."""
    found = []
    for wanted in WANTED:
        found += search_everywhere(wanted, redis_url=get_settings().redis_url, logs=logs)
        found += [
            ("warehouse", id_, repr(row))
            for rows in read_contents(warehouse).values()
            for id_, row in rows.items()
            if has_person(wanted, repr(row))
        ]
    others = {
        str(row["_id"])
        for name in ("users", "donations", "payments", "deliveries", "events")
        for row in get_db()[name].find()
        if ".org.uk" in str(row)
    }
    namesake = {"Dora Quill", "dora quill"}
    return {
        f"{name} {text}"
        for name, id_, text in found
        if str(id_) not in others or (text not in namesake and name != "warehouse")
    }


def count_events_about_her() -> int:
    """Return how many events would name her if Matchback sent all of them now."""
    bodies = build_bodies(list(EventDelivery.objects))
    return sum(f'"{DORA["email"]}"' in body.decode().casefold() for body in bodies)


def test_no_stored_data_names_her_and_no_figure_changes(
    life: Life, duckdb: DuckDB, caplog: pytest.LogCaptureFixture
) -> None:
    export_all(duckdb)
    before, of_others = life.figures(), life.of_others()
    stored = {place.split()[0] for place in places(duckdb)}
    assert stored >= {
        "users",
        "donations",
        "events",
        "deliveries",
        "payments",
        "links",
        "warehouse",
    }
    assert count_events_about_her() >= 5
    assert life.place.call("DELETE", f"/v1/users/{life.user}?erase=true").status == 204
    export_all(duckdb)
    assert count_events_about_her() == 0
    assert places(duckdb, caplog.text) == set()
    assert life.figures() == before
    assert life.of_others() == of_others
    assert read_contents(duckdb) == compute_contents()
    names = [row["name"] for row in get_db().users.find()]
    assert names.count("Dora Quill") == 1


def erase(life: Life) -> None:
    assert life.place.call("DELETE", f"/v1/users/{life.user}?erase=true").status == 204
    settle_all()


def test_repeated_posts_restore_nothing_and_count_nothing(
    life: Life, duckdb: DuckDB, caplog: pytest.LogCaptureFixture
) -> None:
    before = life.figures()
    erase(life)
    for _ in range(2):
        life.send_again()
        settle_all()
    assert life.figures() == before
    export_all(duckdb)
    assert places(duckdb, caplog.text) == set()
    assert read_contents(duckdb) == compute_contents()


def test_later_clicks_find_their_links_and_restore_no_address(life: Life, duckdb: DuckDB) -> None:
    erase(life)
    path = f"/v1/mailings/{life.mailing}/links?limit=200"
    before = {link["id"]: link["clicks"] for link in life.place.get(path)["data"]}
    to = {"email": DORA["email"]}
    later = [
        make_event(life.email, "click", AT + 90_000 + 60 * number, url=url, **to)
        for number, url in enumerate([*URLS, f"{SITE}/new/{DORA['email']}?name=Dora+Quill"])
    ]
    life.place.deliver(later)
    settle_all()
    after = {link["id"]: link["clicks"] for link in life.place.get(path)["data"]}
    assert sum(after.values()) - sum(before.values()) == len(later)
    assert len(after.keys() - before.keys()) == 1
    export_all(duckdb)
    assert places(duckdb) == set()


def test_a_repeated_request_finds_its_gift_and_plan(life: Life) -> None:
    erase(life)
    before = life.figures()[0]
    plans = before["recurring"]["plans"]
    gift = {"fundraiser_id": life.spring, "amount": 1000, "currency": "USD", "donor": DORA}
    old = {"external_id": "d.hawk@example.org-1", "recurring_id": "monthly:d.hawk%40example.org"}
    assert life.place.call("POST", "/v1/donations", {**gift, **old}).status == 200
    settle_all()
    assert life.figures()[0] == before
    assert (
        life.place.call("POST", "/v1/donations", {**gift, **old, "external_id": "n"}).status == 201
    )
    settle_all()
    assert life.figures()[0]["recurring"]["plans"] == plans


def test_stripes_later_events_about_her_customer_are_not_stored(life: Life, duckdb: DuckDB) -> None:
    erase(life)
    posts = get_db().deliveries.count_documents({})
    for thing in (
        {"id": "cus_1", "object": "customer", **DORA},
        {"id": "pm_1", "object": "payment_method", "customer": "cus_1", "billing_details": DORA},
    ):
        post_stripe_event(life.place, customer_event(40, thing))
    post_stripe_event(
        life.place, customer_event(41, {"id": "cus_3", "object": "customer", "name": "Carl"})
    )
    settle_all()
    assert get_db().deliveries.count_documents({}) == posts + 3
    assert "Carl" in str(list(life.items()))
    export_all(duckdb)
    assert places(duckdb) == set()


def test_a_person_with_a_tag_in_the_same_mailbox_keeps_everything(life: Life) -> None:
    alumni = {"name": "Al Umni", "email": "d.hawk+alumni@example.org"}
    email = life.email_to(alumni)
    life.place.gift(life.spring, 4000, alumni, external_id=alumni["email"])
    told = [
        make_event(email, "click", AT, email=alumni["email"], url=f"{SITE}/{alumni['email']}"),
        make_event(UNKNOWN_ID, "open", AT, email=alumni["email"], sg_message_id="u9"),
    ]
    life.place.deliver(told)
    settle_all()
    user = get_db().users.find_one({"name": "Al Umni"})
    assert user

    def theirs() -> list[Any]:
        return [
            *get_db().users.find({"_id": user["_id"]}),
            *get_db().donations.find({"user_id": user["_id"]}),
            *get_db().events.find({"email_id": ObjectId(email)}),
            *get_db().events.find({"address": alumni["email"]}),
            *get_db().links.find({"url": {"$regex": "alumni"}}),
            [item for item in life.items() if item.get("email") == alumni["email"]],
        ]

    before = theirs()
    assert len(before) == 6
    erase(life)
    assert theirs() == before


def test_the_new_holder_of_her_former_address_keeps_it(life: Life) -> None:
    heir = {"name": "Harry Heir", "email": BEFORE["email"]}
    email = life.email_to(heir)
    life.place.gift(life.spring, 4000, heir, external_id="heir")
    life.place.deliver([make_event(email, "open", AT, email=heir["email"], sg_message_id="u9")])
    settle_all()
    user = get_db().users.find_one({"name": "Harry Heir"})
    assert user
    erase(life)
    [gift] = get_db().donations.find({"external_id": "heir"})
    assert (gift["donor_email"], gift["user_id"]) == (heir["email"], user["_id"])
    assert get_db().users.find_one({"_id": user["_id"]})["email"] == heir["email"]
    assert get_db().events.count_documents({"email_id": ObjectId(email), "type": "open"}) == 1
