"""Alice's programs receive events at webhook endpoints, which she manages through the API."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing import resend
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.signing_secret import open_endpoint_secrets
from documents.outgoing.webhook_endpoint import MAX_ENDPOINTS, WebhookEndpoint
from documents.storage import sealed
from documents.values.time import now
from jobs.periodic import resend as resend_job
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, ApiAnswer, University, create_university
from tools.testbed.settled import settle_all

ENDPOINTS = "/v1/webhook-endpoints"
URL = "https://crm.example.edu/hook"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def add(place: University, **fields: Any) -> str:
    return str(place.make("webhook-endpoints", **{"url": URL, **fields})["id"])


def add_deliveries(place: University, endpoint: str, number: int, **more: Any) -> list[ObjectId]:
    """Store deliveries, pending by default. Return their IDs."""
    of = {"organization_id": ObjectId(place.id), "endpoint_id": ObjectId(endpoint)}
    fact = {"type": "import.finished", "record_id": ObjectId(), "at": now(), "data": {}}
    state = more or {"next_attempt_at": now()}
    rows = [
        {"_id": ObjectId(), **of, **fact, **state, "event_id": ObjectId(), "version": version}
        for version in range(1, number + 1)
    ]
    get_db().event_deliveries.insert_many(rows)
    return [row["_id"] for row in rows]


def fail_deliveries(place: University, endpoint: str, number: int) -> list[ObjectId]:
    attempt = {"at": now(), "seconds": 0.5, "status": 500}
    failed = {"failed_at": now(), "first_attempt_at": now(), "tries": 9, "attempts": [attempt]}
    return add_deliveries(place, endpoint, number, **failed)


def list_states(place: University, endpoint: str, query: str = "") -> list[str]:
    listed = place.get(f"{ENDPOINTS}/{endpoint}/deliveries{query}")["data"]
    return [one["state"] for one in listed]


def find_problem(answer: ApiAnswer) -> tuple[int, str | None]:
    """Return the status, and the pointer of the first error."""
    errors = answer.json.get("errors")
    return answer.status, errors[0]["pointer"] if errors else None


def test_an_endpoint_is_created_changed_and_deleted(alice: University) -> None:
    made = alice.call("POST", ENDPOINTS, {"url": URL})
    assert made.status == 201
    assert made.json["secret"].startswith("whsec_")
    assert sorted(made.json["events"]) == sorted(OUTGOING_EVENT_TYPES)
    path = f"{ENDPOINTS}/{made.json['id']}"
    assert made.headers["location"] == path
    shown = {name: one for name, one in made.json.items() if name != "secret"}
    assert alice.get(path) == shown
    assert alice.get(ENDPOINTS)["data"] == [shown]
    changes = {"url": f"{URL}?a=1", "events": ["email.bounced"], "description": "CRM"}
    changed = alice.call("PATCH", path, {**changes, "enabled": False}).json
    assert {name: changed[name] for name in changes} == changes
    assert (changed["enabled"], changed["disabled_reason"]) == (False, "staff")
    enabled = alice.call("PATCH", path, {"enabled": True}).json
    assert (enabled["enabled"], enabled["disabled_at"]) == (True, None)
    assert alice.call("DELETE", path).status == 204
    assert alice.call("GET", path).status == 404
    assert alice.get(ENDPOINTS)["data"] == []
    stored = get_db().webhook_endpoints.find_one({"_id": ObjectId(made.json["id"])}) or {}
    assert stored["secret"] == ""


def test_a_new_url_forgets_the_failures_of_the_earlier_one(alice: University) -> None:
    path = f"{ENDPOINTS}/{add(alice)}"
    failing = {"$set": {"failing_since": now() - timedelta(days=2)}}
    get_db().webhook_endpoints.update_one({}, failing)
    same = alice.call("PATCH", path, {"url": URL, "description": "CRM"}).json
    assert same["failing_since"] is not None
    assert alice.call("PATCH", path, {"url": f"{URL}/new"}).json["failing_since"] is None


def test_a_secret_is_shown_once_and_replaced(alice: University) -> None:
    made = alice.make("webhook-endpoints", url=URL)
    path = f"{ENDPOINTS}/{made['id']}"
    rotated = alice.call("POST", f"{path}/rotate-secret")
    assert rotated.status == 200
    assert rotated.json["secret"] != made["secret"]
    assert rotated.json["previous_secret_until"] is not None
    endpoint = WebhookEndpoint.objects.get(id=made["id"])
    both = [rotated.json["secret"], made["secret"]]
    assert open_endpoint_secrets(endpoint.to_mongo(), now()) == both
    assert open_endpoint_secrets(endpoint.to_mongo(), now() + timedelta(hours=24)) == both[:1]
    for shown in (alice.get(path), alice.get(ENDPOINTS), alice.get("/v1/audit")):
        assert "whsec_" not in str(shown)
    assert both[1] not in str(list(get_db().webhook_endpoints.find()))


def test_a_repeated_request_shows_the_same_secret(alice: University) -> None:
    once = {"Idempotency-Key": "once"}
    made = [alice.call("POST", ENDPOINTS, {"url": URL}, headers=once) for _ in range(2)]
    assert made[0].json == made[1].json
    assert len(alice.get(ENDPOINTS)["data"]) == 1


def test_a_process_that_dies_before_it_shows_a_secret_leaves_a_usable_endpoint(
    alice: University,
) -> None:
    id_, owner = ObjectId(), ObjectId(alice.id)
    first, _ = WebhookEndpoint.add(owner, URL, id_=id_)
    again, secret = WebhookEndpoint.add(owner, URL, id_=id_)
    assert again.id == first.id
    assert open_endpoint_secrets(WebhookEndpoint.objects.get(id=id_).to_mongo(), now()) == [secret]


BAD_BODIES: dict[str, tuple[Any, str]] = {
    "no URL": ({}, "/url"),
    "an empty URL": ({"url": ""}, "/url"),
    "http": ({"url": "http://crm.example.edu"}, "/url"),
    "another scheme": ({"url": "ftp://crm.example.edu"}, "/url"),
    "no host": ({"url": "https:///hook"}, "/url"),
    "a password": ({"url": "https://a:b@crm.example.edu"}, "/url"),
    "a fragment": ({"url": f"{URL}#a"}, "/url"),
    "a line break": ({"url": f"{URL}\n"}, "/url"),
    "a space": ({"url": f"{URL} "}, "/url"),
    "a port that is not a number": ({"url": "https://crm.example.edu:x"}, "/url"),
    "an invalid IPv6 address": ({"url": "https://[::1"}, "/url"),
    "a lone surrogate": ({"url": f"{URL}\ud800"}, "/url"),
    "a long URL": ({"url": f"{URL}/{'x' * 2000}"}, "/url"),
    "an unknown event": ({"url": URL, "events": ["email.bounced", "fax.sent"]}, "/events/1"),
    "a test event": ({"url": URL, "events": ["endpoint.test"]}, "/events/0"),
    "no event": ({"url": URL, "events": []}, "/events"),
    "events that are no list": ({"url": URL, "events": "email.bounced"}, "/events"),
    "a long description": ({"url": URL, "description": "x" * 1001}, "/description"),
    "a secret": ({"url": URL, "secret": "whsec_x"}, "/secret"),
    "a null URL": ({"url": None}, "/url"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_an_unacceptable_endpoint_is_422_with_a_pointer(alice: University, case: str) -> None:
    body, pointer = BAD_BODIES[case]
    assert find_problem(alice.call("POST", ENDPOINTS, body)) == (422, pointer)
    endpoint = add(alice)
    if body:
        answer = alice.call("PATCH", f"{ENDPOINTS}/{endpoint}", body)
        assert find_problem(answer) == (422, pointer)
    assert len(alice.get(ENDPOINTS)["data"]) == 1
    assert alice.get(f"{ENDPOINTS}/{endpoint}")["url"] == URL


def test_enabled_is_a_boolean(alice: University) -> None:
    path = f"{ENDPOINTS}/{add(alice)}"
    for wrong in ("false", 0, None):
        answer = alice.call("PATCH", path, {"enabled": wrong})
        assert find_problem(answer) == (422, "/enabled")
    for body in (b"", b"[]", b"{", b'{"url": "https://a", "url": "https://b"}', b"\xff"):
        assert alice.call("PATCH", path, body=body).status in {400, 422}


def test_a_missing_master_key_is_503(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = add(alice)
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", "")
    get_settings.cache_clear()
    sealed._ring.cache_clear()
    for path in (ENDPOINTS, f"{ENDPOINTS}/{endpoint}/rotate-secret"):
        answer = alice.call("POST", path, {"url": URL} if path == ENDPOINTS else None)
        assert answer.status == 503, path
        assert "MATCHBACK_MASTER_KEYS" in answer.json["detail"]
    assert len(alice.get(ENDPOINTS)["data"]) == 1
    assert alice.call("PATCH", f"{ENDPOINTS}/{endpoint}", {"enabled": False}).status == 200


def test_an_organization_has_at_most_twenty_endpoints(alice: University) -> None:
    made = [add(alice) for _ in range(MAX_ENDPOINTS)]
    assert alice.call("POST", ENDPOINTS, {"url": URL}).status == 409
    assert alice.call("DELETE", f"{ENDPOINTS}/{made[0]}").status == 204
    assert alice.call("POST", ENDPOINTS, {"url": URL}).status == 201
    pages = alice.get(f"{ENDPOINTS}?limit=15")
    rest = alice.get(f"{ENDPOINTS}?limit=15&cursor={pages['next_cursor']}")
    assert len({one["id"] for one in pages["data"] + rest["data"]}) == MAX_ENDPOINTS


def test_fifty_requests_at_once_do_not_exceed_the_limit(alice: University) -> None:
    for _ in range(MAX_ENDPOINTS - 5):
        add(alice)
    with ThreadPoolExecutor(50) as threads:
        answers = list(
            threads.map(lambda _: alice.call("POST", ENDPOINTS, {"url": URL}).status, range(50))
        )
    assert set(answers) <= {201, 409}
    listed = alice.get(ENDPOINTS)["data"]
    assert len(listed) == MAX_ENDPOINTS - 5 + answers.count(201)
    assert len(listed) <= MAX_ENDPOINTS


def test_a_test_event_waits_to_be_sent(alice: University) -> None:
    endpoint = add(alice, events=["email.bounced"])
    sent = [alice.call("POST", f"{ENDPOINTS}/{endpoint}/test") for _ in range(2)]
    assert [one.status for one in sent] == [202, 202]
    assert [one.json["version"] for one in sent] == [1, 2]
    first = sent[0].json
    assert (first["type"], first["state"], first["record_id"]) == (
        "endpoint.test",
        "pending",
        endpoint,
    )
    assert first["body"]["id"] == first["event_id"]
    assert first["body"]["data"] == {"endpoint_id": endpoint}
    listed = alice.get(f"{ENDPOINTS}/{endpoint}/deliveries")["data"]
    assert listed == [sent[1].json, first]
    alice.call("PATCH", f"{ENDPOINTS}/{endpoint}", {"enabled": False})
    assert alice.call("POST", f"{ENDPOINTS}/{endpoint}/test").status == 409


def test_a_delivery_shows_its_attempts_and_its_body(alice: University) -> None:
    endpoint = add(alice)
    spring = alice.fundraiser()
    gift = alice.gift(spring, email_id=alice.email(spring))
    settle_all()
    attempts = [
        {"at": now() - timedelta(seconds=9), "seconds": 15.0, "error": "timeout"},
        {"at": now(), "seconds": 0.25, "status": 200},
    ]
    ended = {"$set": {"attempts": attempts, "delivered_at": now()}}
    get_db().event_deliveries.update_one({}, {**ended, "$unset": {"next_attempt_at": ""}})
    (shown,) = alice.get(f"{ENDPOINTS}/{endpoint}/deliveries")["data"]
    assert (shown["type"], shown["record_id"], shown["version"]) == ("donation.matched", gift, 1)
    assert shown["state"] == "delivered"
    assert [(one["status"], one["error"]) for one in shown["attempts"]] == [
        (200, None),
        (None, "timeout"),
    ]
    assert shown["body"]["data"]["donor"] == BOB
    path = f"{ENDPOINTS}/{endpoint}/deliveries/{shown['id']}"
    assert alice.get(path) == shown


def test_deliveries_come_in_pages_newest_first(alice: University) -> None:
    endpoint, other = add(alice), add(alice)
    pending = add_deliveries(alice, endpoint, 3)
    failed = fail_deliveries(alice, endpoint, 5)
    delivered = add_deliveries(alice, endpoint, 2, delivered_at=now())
    add_deliveries(alice, other, 4)
    expected = {"": [*pending, *failed, *delivered], "state=pending": pending}
    expected |= {"state=failed": failed, "state=delivered": delivered}
    for query, ids in expected.items():
        found, cursor = [], ""
        while cursor is not None:
            asked = "&".join(filter(None, ["limit=2", query, cursor and f"cursor={cursor}"]))
            page = alice.get(f"{ENDPOINTS}/{endpoint}/deliveries?{asked}")
            assert len(page["data"]) <= 2
            found += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
        assert found == [str(id_) for id_ in reversed(ids)], query
    path = f"{ENDPOINTS}/{endpoint}/deliveries"
    assert alice.call("GET", f"{path}?state=lost").status == 422
    assert alice.call("GET", f"{path}?cursor=x").status == 400
    assert alice.call("GET", f"{path}?limit=201").status == 422
    assert alice.call("GET", f"{path}?sort=state").status == 400


@pytest.mark.parametrize("state", ["pending", "failed", "delivered"])
def test_one_delivery_is_sent_again(alice: University, state: str) -> None:
    endpoint = add(alice)
    ended = {} if state == "pending" else {f"{state}_at": now()}
    waits = {"next_attempt_at": now() + timedelta(hours=6)} if state == "pending" else {}
    begun = {"first_attempt_at": now(), "tries": 9, "attempts": [{"at": now(), "status": 500}]}
    (id_, other) = add_deliveries(alice, endpoint, 2, **ended, **waits, **begun)
    path = f"{ENDPOINTS}/{endpoint}/deliveries/{id_}"
    for _ in range(2):
        answer = alice.call("POST", f"{path}/resend")
        assert (answer.status, answer.json["state"]) == (202, "pending")
        assert len(answer.json["attempts"]) == 1
    stored = EventDelivery.objects.get(id=id_)
    assert stored.next_attempt_at <= now()
    assert (stored.tries, stored.first_attempt_at) == (0, None)
    assert (stored.failed_at, stored.delivered_at) == (None, None)
    assert EventDelivery.objects.get(id=other).tries == 9


def test_all_failed_deliveries_are_sent_again(alice: University) -> None:
    endpoint, other = add(alice), add(alice)
    fail_deliveries(alice, endpoint, 5)
    add_deliveries(alice, endpoint, 1, delivered_at=now())
    fail_deliveries(alice, other, 1)
    path = f"{ENDPOINTS}/{endpoint}/deliveries/resend"
    for _ in range(2):
        answer = alice.call("POST", path)
        assert (answer.status, answer.json["resend_requested_at"]) == (202, None)
    assert sorted(list_states(alice, endpoint)) == ["delivered", *["pending"] * 5]
    assert list_states(alice, other) == ["failed"]


def test_many_failed_deliveries_are_sent_again_in_parts(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "DELIVERIES_PER_PART", 3)
    first, second = add(alice), add(alice)
    for endpoint in (first, second):
        fail_deliveries(alice, endpoint, 10)
        answer = alice.call("POST", f"{ENDPOINTS}/{endpoint}/deliveries/resend")
        assert answer.json["resend_requested_at"] is not None
        assert list_states(alice, endpoint).count("pending") == 3
    (late,) = add_deliveries(alice, first, 1, failed_at=now() + timedelta(seconds=5))
    assert resend_job.step()
    assert not resend_job.step()
    assert list_states(alice, second) == ["pending"] * 10
    assert list_states(alice, first) == ["failed", *["pending"] * 10]
    assert alice.get(f"{ENDPOINTS}/{first}")["resend_requested_at"] is None
    assert EventDelivery.objects.get(id=late).state == "failed"


def test_a_later_request_includes_what_failed_after_an_earlier_one(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "DELIVERIES_PER_PART", 2)
    endpoint = add(alice)
    oldest, *_ = fail_deliveries(alice, endpoint, 5)
    path = f"{ENDPOINTS}/{endpoint}/deliveries/resend"
    alice.call("POST", path)
    ended = {"$set": {"failed_at": now()}, "$unset": {"next_attempt_at": ""}}
    get_db().event_deliveries.update_one({"_id": oldest}, ended)  # its attempts have failed again
    alice.call("POST", path)
    resend_job.step()
    assert list_states(alice, endpoint) == ["pending"] * 5


def test_disabling_ends_a_resend(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "DELIVERIES_PER_PART", 2)
    endpoint = add(alice)
    fail_deliveries(alice, endpoint, 5)
    alice.call("POST", f"{ENDPOINTS}/{endpoint}/deliveries/resend")
    changed = alice.call("PATCH", f"{ENDPOINTS}/{endpoint}", {"enabled": False})
    assert changed.json["resend_requested_at"] is None
    assert not resend_job.step()
    assert list_states(alice, endpoint).count("failed") == 3


def test_fifty_requests_at_once_resend_each_delivery(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "DELIVERIES_PER_PART", 20)
    endpoint = add(alice)
    ids = fail_deliveries(alice, endpoint, 60)
    path = f"{ENDPOINTS}/{endpoint}/deliveries"

    def send(number: int) -> int:
        one = f"{path}/{ids[number % 3]}/resend" if number % 2 else f"{path}/resend"
        return alice.call("POST", one).status

    with ThreadPoolExecutor(50) as threads:
        assert set(threads.map(send, range(50))) == {202}
    resend_job.step()
    assert set(list_states(alice, endpoint, "?limit=200")) == {"pending"}
    assert alice.get(f"{ENDPOINTS}/{endpoint}")["resend_requested_at"] is None


def test_a_disabled_or_deleted_endpoint_resends_nothing(alice: University) -> None:
    endpoint = add(alice)
    (id_,) = fail_deliveries(alice, endpoint, 1)
    path = f"{ENDPOINTS}/{endpoint}"
    one, every = f"{path}/deliveries/{id_}/resend", f"{path}/deliveries/resend"
    alice.call("PATCH", path, {"enabled": False})
    assert [alice.call("POST", at).status for at in (one, every)] == [409, 409]
    alice.call("DELETE", path)
    assert [alice.call("POST", at).status for at in (one, every)] == [404, 404]
    assert EventDelivery.objects.get(id=id_).state == "failed"


def test_a_delivery_belongs_to_its_endpoint(alice: University, charlie: University) -> None:
    endpoint, other, his = add(alice), add(alice), add(charlie)
    (id_,) = add_deliveries(alice, endpoint, 1)
    for place, of in ((alice, other), (charlie, his), (charlie, endpoint)):
        path = f"{ENDPOINTS}/{of}/deliveries/{id_}"
        assert place.call("GET", path).status == 404
        assert place.call("POST", f"{path}/resend").status == 404
    for wrong in (UNKNOWN_ID, "x", "resend"):
        path = f"{ENDPOINTS}/{endpoint}/deliveries/{wrong}"
        assert alice.call("GET", path).status in {404, 405}
        assert alice.call("POST", f"{path}/resend").status == 404
    assert charlie.get(f"{ENDPOINTS}/{his}/deliveries")["data"] == []


def test_only_an_admin_key_manages_endpoints(alice: University) -> None:
    endpoint = add(alice)
    secret = alice.make("api-keys", name="form", scopes=["write"])["secret"]
    form = University(alice.id, secret, alice.api)
    for verb, path in (
        ("GET", ENDPOINTS),
        ("POST", ENDPOINTS),
        ("POST", f"{ENDPOINTS}/{endpoint}/rotate-secret"),
        ("GET", f"{ENDPOINTS}/{endpoint}/deliveries"),
    ):
        assert form.call(verb, path).status == 403


def test_the_master_key_command_seals_the_secrets_again(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.fernet import Fernet

    from documents.storage.resealing import reseal_records

    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    set_master_keys(monkeypatch, old)
    made = alice.make("webhook-endpoints", url=URL)
    rotated = alice.call("POST", f"{ENDPOINTS}/{made['id']}/rotate-secret").json
    set_master_keys(monkeypatch, f"{new},{old}")
    assert reseal_records(WebhookEndpoint) == 1
    set_master_keys(monkeypatch, new)
    opened = open_endpoint_secrets(WebhookEndpoint.objects.get(id=made["id"]).to_mongo(), now())
    assert opened == [rotated["secret"], made["secret"]]


def set_master_keys(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", keys)
    get_settings.cache_clear()
    sealed._ring.cache_clear()
