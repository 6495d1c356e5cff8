"""No client input gives a 500: each kind of bad input has its own status and problem."""

import base64
import json
from typing import Any

import pytest
from falcon import testing

from documents.organization import Organization
from tools.testbed.cast import BOB, UNKNOWN_ID, University, make_event, sign_webhook

GIFT: dict[str, Any] = {"amount": 2500, "currency": "USD", "donor": BOB}


def check_problem(answer: Any, status: int) -> Any:
    assert answer.status == status, answer.content
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["instance"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= problem.keys()
    return problem


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"name=Bob",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e999}',
        b'{"amount": 1} {}',
        b'{"name": "A", "name": "B"}',
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"1" * 10_000,
        b"\x00",
    ],
)
def test_malformed_json_is_400(alice: University, body: bytes) -> None:
    for path in ("/v1/users", "/v1/donations"):
        check_problem(alice.call("POST", path, body=body), 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true"])
def test_a_body_that_is_not_an_object_is_422(alice: University, body: bytes) -> None:
    problem = check_problem(alice.call("POST", "/v1/users", body=body), 422)
    assert problem["errors"][0]["pointer"] == ""


NO_EMAILS: list[Any] = [0, False, [], {}, ["@"]]


def bad(field: str, *values: Any) -> list[tuple[str, Any, str]]:
    return [(field, value, f"/{field}") for value in values]


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        *bad("amount", 0, -1, 2**63, 2**64, 10**400, 25.0, 0.1, "2500", True, None, [], {}),
        *bad("amount", {"$ne": 1}),
        *bad("currency", "usd", "XXX", "XAU", "ZZZ", "", "US", "USDX", 840, None, {"$ne": 1}),
        *bad("donor", "Bob", [], {"$ne": 1}, {"email": "bob@example.edu"}, {}, 0, False),
        ("donor", BOB | {"name": ""}, "/donor/name"),
        ("donor", BOB | {"name": "  "}, "/donor/name"),
        ("donor", BOB | {"name": "x" * 201}, "/donor/name"),
        ("donor", BOB | {"name": "a\x00b"}, "/donor/name"),
        ("donor", BOB | {"name": "\ud800"}, "/donor/name"),
        ("donor", BOB | {"name": {"$gt": ""}}, "/donor/name"),
        ("donor", BOB | {"email": "nobody"}, "/donor/email"),
        *(("donor", {**BOB, "email": value}, "/donor/email") for value in NO_EMAILS),
        ("donor", BOB | {"email": "a@b c"}, "/donor/email"),
        ("donor", BOB | {"email": "a@b\x00"}, "/donor/email"),
        ("donor", BOB | {"email": "\udfff@b"}, "/donor/email"),
        ("donor", BOB | {"email": "x" * 250 + "@b.edu"}, "/donor/email"),
        ("donor", BOB | {"phone": "1"}, "/donor/phone"),
        *bad("fundraiser_id", None, "", "x", 1, "g" * 24, "0" * 25, UNKNOWN_ID, {"$ne": 1}, ["a"]),
        *bad("email_id", 1, {"$ne": 1}, ["a"], True),
        *bad("status", "paid", "", None, 1, "refunded", {"$ne": 1}),
        *bad("external_id", "", "x" * 1001, 1, "a\x00"),
        *bad("donated_at", "now", "", 1, True, "2024-05-06", "2024-05-06T10:00:00"),
        *bad("donated_at", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
        *bad("donated_at", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"),
        ("organization_id", UNKNOWN_ID, "/organization_id"),
        ("counted", [], "/counted"),
        ("$where", "1", "/$where"),
        ("a/b~c", 1, "/a~1b~0c"),
    ],
)
def test_an_unacceptable_value_is_422_and_is_not_repeated(
    alice: University, field: str, value: Any, pointer: str
) -> None:
    body = GIFT | {"fundraiser_id": alice.fundraiser()} | {field: value}
    answer = alice.call("POST", "/v1/donations", body)
    problem = check_problem(answer, 422)
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem
    assert all({"pointer", "code", "detail"} == error.keys() for error in problem["errors"])
    if isinstance(value, str) and len(value) > 3 and value not in {"paid", "refunded"}:
        assert json.dumps(value)[1:-1] not in answer.content.decode()
    assert alice.get("/v1/donations")["data"] == []


def test_a_missing_field_is_422(alice: University) -> None:
    problem = check_problem(alice.call("POST", "/v1/donations", {}), 422)
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/fundraiser_id", "/amount", "/currency"}


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "limit=1&limit=2",
        "name=%ff",
        "name=%zz",
        "name=%",
        "cursor=garbage",
        "cursor=e30",
        "cursor=%00",
        "$where=1",
        "sort[$ne]=1",
        "=1",
    ],
)
def test_an_unreadable_query_is_400(alice: University, query: str) -> None:
    check_problem(alice.call("GET", f"/v1/fundraisers?{query}"), 400)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "sort=goal", "sort=", "sort=--name"],
)
def test_an_invalid_query_value_is_422(alice: University, query: str) -> None:
    check_problem(alice.call("GET", f"/v1/fundraisers?{query}"), 422)


def test_a_cursor_of_another_order_is_400(alice: University) -> None:
    for _ in range(3):
        alice.fundraiser()
    cursor = alice.get("/v1/fundraisers?limit=1&sort=name")["next_cursor"]
    check_problem(alice.call("GET", f"/v1/fundraisers?limit=1&cursor={cursor}"), 400)


@pytest.mark.parametrize(
    "place",
    [
        *("null", "1", "{}", '"x"', "[]", "[1]", "[" * 900, '["name"]', '["name","a"]'),
        '["name","a","x"]',
        '["name","a",1]',
        '["name","a",{"$oid":"aaaaaaaaaaaaaaaaaaaaaaaa"}]',
        *(
            f'["name",{value},"aaaaaaaaaaaaaaaaaaaaaaaa"]'
            for value in (
                *('{"$ne":1}', '{"$regularExpression":{"pattern":"(","options":""}}', "[1]"),
                *('{"time":1}', '{"time":"x"}', '{"time":"2026-01-01T00:00:00","x":1}', "1e400"),
                *("123456789012345678901234567890", '"\\ud800"', "1.5", "NaN"),
            )
        ),
    ],
)
def test_an_invented_cursor_is_400(alice: University, place: str) -> None:
    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    check_problem(alice.call("GET", f"/v1/fundraisers?sort=name&cursor={cursor}"), 400)


def test_an_unexpected_query_is_400(alice: University) -> None:
    check_problem(alice.call("GET", f"/v1/fundraisers/{alice.fundraiser()}?x=1"), 400)


@pytest.mark.parametrize("id_", ["x", "0" * 23, "g" * 24, "%00", "..", "$ne", UNKNOWN_ID, "é"])
@pytest.mark.parametrize("noun", ["users", "fundraisers", "mailings", "emails", "donations"])
def test_a_bad_id_is_404(alice: University, noun: str, id_: str) -> None:
    check_problem(alice.call("GET", f"/v1/{noun}/{id_}"), 404)


def test_unknown_paths_are_404_and_unknown_verbs_405(alice: University) -> None:
    check_problem(alice.call("GET", "/v1/nothing"), 404)
    problem = alice.call("PUT", "/v1/users", BOB)
    check_problem(problem, 405)
    assert "POST" in problem.headers["allow"]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
def test_another_media_type_is_415(alice: University, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    body = json.dumps(BOB).encode()
    check_problem(alice.call("POST", "/v1/users", body=body, headers=headers), 415)


def test_a_charset_does_not_change_the_media_type(alice: University) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = alice.call("POST", "/v1/users", body=json.dumps(BOB).encode(), headers=headers)
    assert answer.status == 201


def test_a_body_that_is_too_large_is_413(alice: University) -> None:
    body = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'
    check_problem(alice.call("POST", "/v1/users", body=body), 413)
    body = b"[" + b" " * (2 * 1024 * 1024) + b"]"
    alice.set_webhook_key()
    check_problem(alice.deliver(None, body=body), 413)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer mb_wrong",
        "Bearer mb_" + "x" * 10_000,
        "Basic bWI6eA==",
        "Bearer {'$ne': 1}",
        "mb_wrong",
    ],
)
def test_a_missing_or_invalid_key_is_401(alice: University, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/v1/users"), ("POST", "/v1/donations"), ("GET", "/v1/users/x")):
        answer = alice.api.call(method, path, headers=headers)
        check_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_signature_is_401_and_stores_nothing(
    alice: University, charlie: University
) -> None:
    from documents.webhook_delivery import WebhookDelivery

    body = json.dumps([make_event(UNKNOWN_ID, "open", 1_700_000_000)]).encode()
    path = f"/v1/webhooks/sendgrid/{alice.id}"
    right = sign_webhook(alice.signing_key, body)
    for headers in ({}, right, sign_webhook(charlie.signing_key, body)):
        check_problem(alice.api.call("POST", path, body=body, headers=headers), 401)
    alice.set_webhook_key()
    for name in right:
        check_problem(alice.api.call("POST", path, body=body, headers=right | {name: "1"}), 401)
        less = {key: value for key, value in right.items() if key != name}
        check_problem(alice.api.call("POST", path, body=body, headers=less), 401)
    check_problem(alice.api.call("POST", path, body=body + b" ", headers=right), 401)
    for other in (charlie.id, UNKNOWN_ID, "x"):
        there = f"/v1/webhooks/sendgrid/{other}"
        check_problem(alice.api.call("POST", there, body=body, headers=right), 401)
    assert WebhookDelivery.objects.count() == 0
    assert alice.api.call("POST", path, body=body, headers=right).status == 202


def test_a_valid_request_id_is_kept_and_an_invalid_one_is_replaced(alice: University) -> None:
    kept = alice.call("GET", "/v1/users", headers={"X-Request-Id": "order-12345678"})
    assert kept.headers["x-request-id"] == "order-12345678"
    for strange in ("x", "a b", "y" * 200, "<script>alert(1)"):
        answer = alice.call("GET", "/v1/users", headers={"X-Request-Id": strange})
        assert answer.headers["x-request-id"] != strange


def test_an_internal_error_reveals_nothing(
    alice: University, client: testing.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("service.api.resources.users.User.create", broken)
    answer = alice.call("POST", "/v1/users", BOB)
    check_problem(answer, 500)
    assert b"secret" not in answer.content


def test_only_the_key_identifies_the_organization(alice: University, charlie: University) -> None:
    alice.make("users", **BOB)
    assert Organization.objects.count() == 2
    assert charlie.call("GET", f"/v1/users?organization_id={alice.id}").status == 400
    headers = {"X-Organization-Id": alice.id}
    assert charlie.call("GET", "/v1/users", headers=headers).json["data"] == []
