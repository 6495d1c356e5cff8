"""Lists of users and emails include exactly the live ones, in the order of a counter."""

import json
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.imports import emails, inserts, people
from jobs.sweep import sweep_due_records
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

ORDERS = ("donations_count", "emails_count", "last_donated_at")
AT = 1_700_000_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def listed(alice: University, path: str) -> list[str]:
    ids: list[str] = []
    cursor = None
    while True:
        page = alice.get(f"{path}&limit=2" + (f"&cursor={cursor}" if cursor else ""))
        ids += [row["id"] for row in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            return ids


def user_rows() -> list[dict[str, Any]]:
    return list(get_db().user_index.find().sort("_id", 1))


def test_a_new_user_is_in_every_list_at_once(alice: University) -> None:
    ids = [alice.make("users", name="A", email=f"a{n}@x.edu")["id"] for n in range(5)]
    for order in ORDERS:
        assert listed(alice, f"/v1/users?sort={order}") == ids
        assert listed(alice, f"/v1/users?sort=-{order}") == ids[::-1]
    settle_all()


def test_a_worker_adds_a_missing_row(alice: University) -> None:
    user = alice.make("users", **BOB)["id"]
    get_db().user_index.delete_many({})  # a process of the earlier version has added the user
    settle_all()
    assert [str(row["_id"]) for row in user_rows()] == [user]
    assert listed(alice, "/v1/users?sort=donations_count") == [user]


def test_a_deleted_user_leaves_the_lists_and_the_table(alice: University) -> None:
    one, two = (alice.make("users", name="A", email=f"a{n}@x.edu")["id"] for n in range(2))
    settle_all()
    assert alice.call("DELETE", f"/v1/users/{one}").status == 204
    assert listed(alice, "/v1/users?sort=emails_count") == [two]
    settle_all()
    assert [str(row["_id"]) for row in user_rows()] == [two]


def test_an_erased_person_leaves_the_lists_and_the_table(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    settle_all()
    assert [row["emails_count"] for row in user_rows()] == [1]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status == 204
    assert listed(alice, "/v1/users?sort=-emails_count") == []
    settle_all()
    assert user_rows() == []
    assert alice.call("DELETE", f"/v1/emails/{email}").status == 204
    settle_all()
    assert user_rows() == []


def test_imported_people_are_in_the_lists(alice: University) -> None:
    spring = alice.fundraiser()
    lines = [
        {"fundraiser_id": spring, "user": {"name": "A", "email": f"a{n}@x.edu"}} for n in range(3)
    ]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = alice.call("POST", "/v1/emails/import", body=body, headers=headers)
    assert answer.status == 200, answer.content
    assert len(listed(alice, "/v1/users?sort=emails_count")) == 3
    settle_all()
    assert [row["emails_count"] for row in user_rows()] == [1, 1, 1]


def test_a_worker_may_follow_people_while_an_import_adds_them(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = inserts.insert_missing

    def insert_and_follow(row: Any, rows: list[Any]) -> set[int]:
        refused = insert(row, rows)
        sweep_due_records()
        return refused

    for module in (emails, people):
        monkeypatch.setattr(module, "insert_missing", insert_and_follow)
    line = {"fundraiser_id": alice.fundraiser(), "user": BOB}
    answer = alice.call(
        "POST",
        "/v1/emails/import",
        body=json.dumps(line).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status == 200, answer.content
    settle_all()
    assert [row["emails_count"] for row in user_rows()] == [1]


def test_an_email_has_a_row_while_it_has_a_rare_action(alice: University) -> None:
    alice.set_webhook_key()
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    given, bounced, opened = (
        alice.email(spring, {"name": "A", "email": f"a{n}@x.edu"}, mailing_id=mailing)
        for n in range(3)
    )
    gift = alice.gift(spring, email_id=given)
    alice.deliver([make_event(bounced, "bounce", AT), make_event(opened, "open", AT)])
    settle_all()
    rows = {str(row["_id"]): row for row in get_db().email_index.find()}
    assert rows.keys() == {given, bounced}
    assert rows[given]["donations_count"] == 1
    assert rows[given]["mailing_id"] == ObjectId(mailing)
    assert listed(alice, "/v1/emails?donated=true") == [given]
    assert listed(alice, "/v1/emails?sort=donations_count") == [bounced, opened, given]
    assert listed(alice, "/v1/emails?sort=-donations_count") == [given, opened, bounced]
    assert alice.call("DELETE", f"/v1/donations/{gift}").status == 204
    assert alice.call("DELETE", f"/v1/emails/{bounced}").status == 204
    assert listed(alice, "/v1/emails?sort=-donations_count")[-1] == opened
    settle_all()
    assert list(get_db().email_index.find()) == []
    assert listed(alice, "/v1/emails?sort=donations_count") == [given, opened]


def test_many_emails_with_gifts_only_make_pages_short(alice: University) -> None:
    """Thirty emails with gifts precede the only two without."""
    spring = alice.fundraiser()
    emails = [alice.email(spring, {"name": "A", "email": f"a{n}@x.edu"}) for n in range(32)]
    for email in emails[:30]:
        alice.gift(spring, email_id=email)
    while sweep_due_records():
        pass
    page = alice.get("/v1/emails?sort=donations_count&limit=2")
    assert page["data"] == []
    assert page["next_cursor"] is not None
    assert listed(alice, "/v1/emails?sort=donations_count") == emails[30:] + emails[:30]
    assert listed(alice, "/v1/emails?sort=-donations_count") == emails[29::-1] + emails[:29:-1]
