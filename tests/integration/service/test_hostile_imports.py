"""Hostile lines in imports of every kind: each is rejected alone, and none is echoed."""

import json
from typing import Any

import pytest
from falcon import testing

from documents.imports.fields import RecordKind
from documents.imports.kinds import IMPORT_KINDS
from service.routes import API_ROUTES
from tools.testbed.cast import BOB, Api, University, create_university

SECRET = "marker-of-the-client"
HOSTILE_LINES = (
    b"not json",
    b"7",
    b"null",
    b'"text"',
    b"[]",
    b'{"a": 1, "a": 2}',
    b"\xff\xfe",
    b"{" * 5000,
    b"[" * 100 + b"]" * 100,
    b'{"name": NaN}',
    b'{"name": 1e999}',
    b"x" * 200_000,
    b"\x00",
    b'{"organization_id": "' + SECRET.encode() + b'"}',
)
HOSTILE_VALUES: tuple[Any, ...] = (
    *("", " ", "\x00", "\ud800", "\x1f", {"$ne": 1}, {"$where": "1"}, [], [[]], True, -1, 0.5),
    *(2**63, 10**400, "9" * 2000, SECRET * 100),
)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def post(place: University, records: RecordKind, lines: list[bytes]) -> Any:
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"/v1/{records}/import"
    answer = place.call("POST", path, body=b"\n".join(lines), headers=headers)
    assert answer.status == 200, answer.content
    assert SECRET.encode() not in answer.content
    return answer.json


def good_line(alice: University, records: RecordKind) -> dict[str, Any]:
    spring = {"fundraiser_id": alice.fundraiser()}
    lines: dict[str, dict[str, Any]] = {
        "emails": {**spring, "user": BOB},
        "users": dict(BOB),
        "donations": {**spring, "amount": 100, "currency": "USD", "donor": BOB},
    }
    return lines[records]


@pytest.mark.parametrize("records", IMPORT_KINDS)
def test_hostile_lines_are_rejected_alone(alice: University, records: RecordKind) -> None:
    good = json.dumps(good_line(alice, records)).encode()
    answer = post(alice, records, [good, *HOSTILE_LINES, good + b" "])
    assert answer["created"] + answer["found"] == 2
    assert [one["line"] for one in answer["refused"]] == list(range(2, len(HOSTILE_LINES) + 2))


@pytest.mark.parametrize("records", IMPORT_KINDS)
def test_hostile_values_are_rejected_or_stored(alice: University, records: RecordKind) -> None:
    line = good_line(alice, records)
    names = list(IMPORT_KINDS[records].model.model_fields)
    lines = [
        json.dumps({**line, name: value}).encode() for name in names for value in HOSTILE_VALUES
    ]
    answer = post(alice, records, [*lines, json.dumps(line).encode()])
    handled = answer["created"] + answer["found"] + answer["refused_count"]
    assert handled == len(lines) + 1
    assert answer["created"] + answer["found"] >= 1


def test_all_kinds_of_imports_share_their_threads() -> None:
    shares = {
        id(resource._shares)
        for path, resource, _ in API_ROUTES
        if path.endswith("/import") and hasattr(resource, "_shares")
    }
    assert len(shares) == 1
