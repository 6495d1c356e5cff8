"""Attributes that a hostile or careless client sends, also to an experiment."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.segments import recording
from tests.integration.documents.outcomes.test_late_emails import check_figures, experiment
from tools.testbed.cast import Api, University, create_university

NDJSON = {"Content-Type": "application/x-ndjson"}
BAD_NAMES = [
    "",
    " ",
    "a.b",
    "$where",
    "a\0b",
    "ä",
    "x" * 41,
    "mailbox_provider",
    "Mailbox_Provider",
]
BAD_VALUES: list[Any] = ["", " ", "a\nb", "a\0b", "x" * 101, 1998, None, ["x"], {"$ne": 1}]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.mark.parametrize(
    "attributes",
    [*({name: "x"} for name in BAD_NAMES), *({"code": value} for value in BAD_VALUES)],
)
def test_bad_attributes_store_nothing(alice: University, attributes: Any) -> None:
    user = {"name": "Bob", "email": "bob@gmail.com", "attributes": attributes}
    values = {"fundraiser_id": alice.fundraiser(), "user": user}
    assert alice.call("POST", "/v1/emails", values).status == 422
    assert alice.call("POST", "/v1/users", user).status == 422
    assert get_db().users.count_documents({}) == 0
    assert get_db().segments.count_documents({}) == 0


def test_a_value_of_ten_megabytes_is_rejected(alice: University) -> None:
    user = {"name": "Bob", "email": "bob@gmail.com", "attributes": {"code": "x" * 10_000_000}}
    assert alice.call("POST", "/v1/users", user).status == 413
    assert get_db().users.count_documents({}) == 0


def test_many_values_cost_an_experiment_few_records(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_VALUES_PER_ATTRIBUTE", 20)
    mailing = experiment(alice, alice.fundraiser())
    lines = [
        {
            "mailing_id": mailing,
            "user": {"name": "U", "email": f"u{n}@x.example", "attributes": {"code": f"v {n}"}},
        }
        for n in range(1_000)
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    answer = alice.call("POST", "/v1/emails/import", body=body, headers=NDJSON)
    assert answer.json["created"] == 1_000, answer.content
    check_figures()
    parts = get_db().arm_segments.count_documents({})
    assert parts <= 2 * (20 + 1) + 2  # two arms: values, the rest, and the mailbox provider
    table = alice.get(f"/v1/mailings/{mailing}/experiment?by=code")["segments"]
    recipients = {line["kind"]: line["recipients"] for line in table["values"]}
    assert recipients["other"] == 980
    other = next(line for line in table["values"] if line["kind"] == "other")
    assert [arm["comparison"] for arm in other["arms"]] == [None, None]


def test_simultaneous_requests_for_one_user_keep_all_attributes(alice: University) -> None:
    spring = alice.fundraiser()

    def record(number: int) -> int:
        user = {"name": "Bob", "email": "bob@gmail.com", "attributes": {f"a{number}": "x"}}
        values = {"fundraiser_id": spring, "user": user, "sent_at": "2026-11-01T00:00:00Z"}
        status: int = alice.call("POST", "/v1/emails", values).status
        return status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(record, range(12)))
    assert statuses == [201] * 12
    [user] = alice.get("/v1/users")["data"]
    assert set(user["attributes"]) == {f"a{number}" for number in range(12)}


def test_charlie_cannot_read_or_change_alices_attributes(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    bob = alice.make("users", name="Bob", email="bob@gmail.com", attributes={"school": "Law"})
    path = f"/v1/users/{bob['id']}"
    assert charlie.call("GET", path).status == 404
    assert charlie.call("PATCH", path, {"attributes": {}}).status == 404
    assert alice.get(path)["attributes"] == {"school": "Law"}
