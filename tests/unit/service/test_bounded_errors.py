"""A request builds, holds and returns only few of a client's errors, and counts the rest."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId

from documents.errors import Unusable
from documents.imports.kinds import IMPORT_KINDS
from documents.payments import standard_webhooks
from service.api.import_lines import import_lines
from tools.testbed.cast import BOB, ApiAnswer, University

MOST_LISTED = 20
MANY = 50_000


def _fields(number: int, value: Any = 1) -> dict[str, Any]:
    return {f"field_{index}": value for index in range(number)}


BODIES: dict[str, tuple[str, str, Any]] = {
    "unknown fields": ("POST", "/v1/users", {**BOB, **_fields(MANY)}),
    "unknown fields of a part": ("POST", "/v1/emails", {"user": {**BOB, **_fields(MANY)}}),
    "unknown objects": ("POST", "/v1/users", {**BOB, **_fields(30_000, {"a": {}})}),
    "a long list": ("POST", "/v1/api-keys", {"name": "K", "scopes": [1] * MANY}),
    "a list of lists": ("POST", "/v1/api-keys", {"name": "K", "scopes": [[[]]] * MANY}),
    "a list for an object": ("POST", "/v1/users", [{}] * MANY),
    "a policy": ("PUT", "/v1/match-policy", {"prefer": ["sent"] * MANY}),
    "long names": ("POST", "/v1/users", {f"{'é' * 1000}{index}": 1 for index in range(100)}),
    "fewer than a thousand": ("POST", "/v1/users", {**BOB, **_fields(990)}),
    "wrong types": ("POST", "/v1/donations", {"donor": {}, "amount": [0] * 900}),
    "a change": ("PATCH", "/v1/organization", _fields(MANY)),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_response_lists_a_few_errors_and_counts_the_rest(alice: University, name: str) -> None:
    method, path, body = BODIES[name]
    answer = alice.call(method, path, body)
    assert answer.status == 422
    assert 1 <= len(answer.json["errors"]) <= MOST_LISTED
    assert len(answer.content) < 20_000


def test_unknown_fields_are_named_and_counted(alice: University) -> None:
    few = alice.call("POST", "/v1/users", {**BOB, **_fields(3)}).json
    assert [one["pointer"] for one in few["errors"]] == ["/field_0", "/field_1", "/field_2"]
    assert "errors_left_out" not in few
    more = alice.call("POST", "/v1/users", {**BOB, **_fields(500)}).json
    assert (len(more["errors"]), more["errors_left_out"]) == (20, 480)
    many = alice.call("POST", "/v1/users", {**BOB, **_fields(MANY)}).json
    assert many["errors"][0]["code"] == "too_many_members"
    named = [one for one in many["errors"] if one["code"] == "extra_forbidden"]
    assert named[0] == {**few["errors"][0], "pointer": "/field_0"}
    assert len(named) + many["errors_left_out"] == MANY


def test_a_body_of_a_thousand_members_is_checked_field_by_field(alice: University) -> None:
    errors = alice.call("POST", "/v1/users", _fields(1000)).json["errors"]
    assert {one["code"] for one in errors} <= {"missing", "extra_forbidden"}
    errors = alice.call("POST", "/v1/users", _fields(1001)).json["errors"]
    assert errors[0]["code"] == "too_many_members"


def _import(alice: University, lines: list[Any]) -> ApiAnswer:
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    headers = {"Content-Type": "application/x-ndjson"}
    return alice.call("POST", "/v1/emails/import", body=body, headers=headers)


def test_an_import_lists_a_few_errors_per_line(alice: University) -> None:
    good = {"fundraiser_id": alice.fundraiser(), "user": BOB}
    answer = _import(alice, [good, *[_fields(3000)] * 50, {**good, **_fields(100)}]).json
    assert (answer["created"], answer["refused_count"]) == (1, 51)
    assert [one["line"] for one in answer["refused"]] == list(range(2, 53))
    assert all(len(one["errors"]) == MOST_LISTED for one in answer["refused"])
    assert answer["refused"][-1]["errors_left_out"] == 80
    assert answer["refused"][0]["errors_left_out"] == 3000 - 19
    assert answer["refused_left_out"] == 0
    assert len(json.dumps(answer)) < 150_000


def test_an_import_lists_up_to_a_thousand_lines(alice: University) -> None:
    lines = [7, *[{"user_id": "x"}] * 1200, {"fundraiser_id": alice.fundraiser(), "user": BOB}]
    answer = _import(alice, lines).json
    assert (answer["created"], answer["refused_count"]) == (1, 1201)
    assert [one["line"] for one in answer["refused"]] == list(range(1, 1001))
    assert answer["refused_left_out"] == 201


def test_the_first_rejected_lines_are_listed_at_any_stage_of_checks(
    alice: University,
) -> None:
    unknown = {"fundraiser_id": "0" * 24, "user": BOB}  # only the database can detect that
    answer = _import(alice, [*[unknown] * 300, *[7] * 1500]).json
    assert answer["refused_count"] == 1800
    assert [one["line"] for one in answer["refused"]] == list(range(1, 1001))
    assert answer["refused_left_out"] == 800


def _peak(act: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_rejected_lines(alice: University) -> None:
    kind = IMPORT_KINDS["emails"]
    line = json.dumps(_fields(4000)).encode()

    def import_many(number: int) -> None:
        importing = kind.importing(ObjectId(alice.id))
        import_lines(kind, importing, ((index, line) for index in range(number)))

    one, many = _peak(lambda: import_many(1)), _peak(lambda: import_many(50))
    assert many - one < 1_000_000


def test_a_payment_post_of_many_fields_is_rejected_at_once() -> None:
    body = _fields(MANY, {"a": 1})

    def read() -> None:
        with pytest.raises(Unusable, match="1,000") as raised:
            standard_webhooks.read_gift_post(body)
        assert len(str(raised.value)) < 1000

    assert _peak(read) < 100_000
    with pytest.raises(Unusable, match=r".") as raised:
        standard_webhooks.read_gift_post({f"{'x' * 5000}{index}": 1 for index in range(500)})
    assert len(str(raised.value)) < 1000
