"""Lists of the emails of one arm, and the email that a repeated request finds."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.storage import bounded_pages
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.pages import Browser, add_staff
from tools.testbed.settled import settle_all

ARMS = [{"name": "sent", "weight": 3}, {"name": "Année 2", "weight": 1, "held_out": True}]
SENT = {"sent_at": "2025-11-20T00:00:00Z"}
GIVEN = "2025-11-23T00:00:00Z"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def start(alice: University, spring: str) -> str:
    mailing = alice.mailing(spring, **SENT)
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS}).status == 200
    return mailing


def record(alice: University, mailing: str, number: int, **more: Any) -> None:
    people = [{"name": f"P {n}", "email": f"p{n}@{mailing}.edu"} for n in range(number)]
    lines = [json.dumps({"mailing_id": mailing, "user": one, **more}) for one in people]
    headers = {"Content-Type": "application/x-ndjson"}
    body = "\n".join(lines).encode()
    answer = alice.call("POST", "/v1/emails/import", body=body, headers=headers)
    assert answer.json["created"] == number, answer.content


def list_emails(alice: University, **query: Any) -> tuple[list[str], list[int]]:
    """Return the IDs of all pages, and the length of each page."""
    found, lengths, cursor = [], list[int](), ""
    while True:
        asked = {**query, **({"cursor": cursor} if cursor else {})}
        page = alice.get(f"/v1/emails?{urlencode(asked)}")
        found += [email["id"] for email in page["data"]]
        lengths.append(len(page["data"]))
        if not (cursor := page["next_cursor"]):
            return found, lengths


def stored_ids(mailing: str, arm: str, **query: Any) -> list[str]:
    of = {"arm_id": f"{mailing}:{arm}", "deleted_at": None, **query}
    return [str(row["_id"]) for row in get_db().emails.find(of).sort("_id", -1)]


def test_a_list_has_the_emails_of_the_arm_and_no_others(alice: University) -> None:
    spring = alice.fundraiser()
    mailing, other = start(alice, spring), start(alice, spring)
    for one in (mailing, other):
        record(alice, one, 120)
    for arm in ("sent", "Année 2"):
        expected = stored_ids(mailing, arm)
        assert expected
        newest, _ = list_emails(alice, mailing_id=mailing, arm=arm, limit=7)
        assert newest == expected
        oldest, _ = list_emails(alice, mailing_id=mailing, arm=arm, limit=7, sort="created_at")
        assert oldest == expected[::-1]
    deleted = stored_ids(mailing, "sent")[3]
    assert alice.call("DELETE", f"/v1/emails/{deleted}").status == 204
    assert list_emails(alice, mailing_id=mailing, arm="sent")[0] == stored_ids(mailing, "sent")


def test_other_filters_apply_as_well(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = start(alice, spring)
    record(alice, mailing, 30, arm="sent")
    [first, *_] = stored_ids(mailing, "sent")
    alice.gift(spring, 2500, {"name": "P"}, email_id=first, donated_at=GIVEN)
    settle_all()
    of = {"mailing_id": mailing, "arm": "sent"}
    assert list_emails(alice, **of, donated="true")[0] == [first]
    assert len(list_emails(alice, **of, donated="false")[0]) == 29
    assert list_emails(alice, **of, held_out="true")[0] == []
    user = alice.get(f"/v1/emails/{first}")["user_id"]
    assert list_emails(alice, **of, user_id=user, sort="-donations_count")[0] == [first]
    assert list_emails(alice, **of | {"arm": ARMS[1]["name"]}, user_id=user)[0] == []
    assert list_emails(alice, **of, fundraiser_id=UNKNOWN_ID)[0] == []


def test_an_export_takes_the_filter(alice: University) -> None:
    mailing = start(alice, alice.fundraiser())
    record(alice, mailing, 50)
    accept = {"headers": {"Accept": "application/x-ndjson"}}
    path = f"/v1/emails/export?mailing_id={mailing}&arm=sent"
    lines = alice.call("GET", path, **accept).content.splitlines()
    assert [json.loads(line)["id"] for line in lines] == stored_ids(mailing, "sent")


def test_an_arm_needs_its_mailing_and_the_order_of_creation(alice: University) -> None:
    mailing = start(alice, alice.fundraiser())
    for query, pointer in (
        ("arm=sent", "/arm"),
        (f"arm=sent&mailing_id={mailing}&sort=-donations_count", "/sort"),
        (f"arm=&mailing_id={mailing}", "/arm"),
    ):
        answer = alice.call("GET", f"/v1/emails?{query}")
        assert answer.status in (400, 422), answer.content
        assert [one["pointer"] for one in answer.json["errors"]] == [pointer]


def test_an_unknown_arm_or_mailing_has_no_emails(alice: University, charlie: University) -> None:
    mailing = start(alice, alice.fundraiser())
    plain = alice.mailing(alice.fundraiser("Autumn"))
    record(alice, mailing, 3)
    for query in (
        f"arm=third&mailing_id={mailing}",
        f"arm=sent&mailing_id={plain}",
        f"arm=sent&mailing_id={UNKNOWN_ID}",
    ):
        assert alice.get(f"/v1/emails?{query}") == {"data": [], "next_cursor": None}
    assert charlie.get(f"/v1/emails?arm=sent&mailing_id={mailing}")["data"] == []


@pytest.mark.parametrize("limit", [1, 4, 50])
def test_pages_of_a_rare_arm_are_short_and_complete(
    alice: University, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(bounded_pages, "MAX_RECORDS_READ_PER_PAGE", 10)
    mailing = start(alice, alice.fundraiser())
    record(alice, mailing, 60)
    for arm in ("sent", "Année 2"):
        for sort in ("created_at", "-created_at"):
            query = {"mailing_id": mailing, "arm": arm, "limit": limit, "sort": sort}
            found, lengths = list_emails(alice, **query)
            expected = stored_ids(mailing, arm)
            assert found == (expected if sort.startswith("-") else expected[::-1])
            assert len(lengths) <= 60 / 10 + 1 + len(expected) / limit


def test_a_page_reads_the_same_number_of_emails_in_a_mailing_of_any_size(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_pages, "MAX_RECORDS_READ_PER_PAGE", 100)
    spring = alice.fundraiser()
    small, large = start(alice, spring), start(alice, spring)
    record(alice, small, 200, arm="sent")
    record(alice, large, 3_000, arm="sent")

    def count_read(mailing: str) -> tuple[int, int]:
        def read() -> tuple[int, int]:
            scanned = get_db().command("serverStatus")["metrics"]["queryExecutor"]
            return scanned["scanned"], scanned["scannedObjects"]

        before = read()
        query = {"mailing_id": mailing, "arm": ARMS[1]["name"], "limit": 200}
        alice.get(f"/v1/emails?{urlencode(query)}")
        after = read()
        return after[0] - before[0], after[1] - before[1]

    few, many = count_read(small), count_read(large)
    assert many[0] <= few[0] + 10  # other commands of the process
    assert many[1] <= few[1] + 10
    assert many[1] < 200


def test_a_repeated_email_of_an_experiment_names_the_email_and_its_arm(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    mailing = start(alice, spring)
    for arm in ("sent", "Année 2"):
        new = {"fundraiser_id": spring, "mailing_id": mailing, "user": _person(arm)}
        email = alice.make("emails", **new, arm=arm)
        for more in ({}, {"arm": "sent"}, {"arm": "Année 2"}):
            answer = alice.call("POST", "/v1/emails", {**new, **more})
            assert answer.status == 409, answer.content
            assert (answer.json["email_id"], answer.json["arm"]) == (email["id"], arm)


def _person(arm: str) -> dict[str, str]:
    return {"name": arm, "email": f"{len(arm)}@example.edu"}


def test_a_repeated_email_from_before_the_experiment_has_no_arm(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, **SENT)
    headers = {"Content-Type": "application/x-ndjson"}
    body = json.dumps({"mailing_id": mailing, "user": BOB}).encode()
    alice.call("POST", "/v1/emails/import", body=body, headers=headers)
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS}).status == 200
    again = {"fundraiser_id": spring, "mailing_id": mailing, "user": BOB}
    answer = alice.call("POST", "/v1/emails", again)
    [email] = get_db().emails.find({"mailing_id": ObjectId(mailing)})
    assert (answer.status, answer.json["email_id"], answer.json["arm"]) == (
        *(409, str(email["_id"]), None),
    )


def test_a_repeat_finds_nothing_after_a_deletion(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = start(alice, spring)
    first = alice.email(spring, mailing_id=mailing, arm="sent")
    assert alice.call("DELETE", f"/v1/emails/{first}").status == 204
    assert alice.email(spring, mailing_id=mailing, arm="sent") != first


def read_recipients(browser: Browser, path: str) -> list[str]:
    """Return the addresses on all pages of the list."""
    found, page = list[str](), browser.get(path).text
    while True:
        rows = page.split('id="recipients"')[1]
        found += re.findall(r"p\d+@[0-9a-f]+\.edu", rows)
        if not (cursor := re.search(r'name="cursor" value="([^"]+)"', rows)):
            return found
        page = browser.get(f"{path}&cursor={cursor[1]}").text


def test_staff_filter_the_recipients_by_arm(
    alice: University, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, **SENT)
    arms = [{"name": name, "weight": 1} for name in ("Früh & spät", "late")]
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": arms}).status == 200
    record(alice, mailing, 90)
    settle_all()
    add_staff(alice.id, "alice@example.edu")
    browser = Browser(real_client)
    browser.sign_in("alice@example.edu")
    path = f"/dashboard/mailings/{mailing}"
    users = {row["_id"]: row["email"] for row in get_db().users.find()}
    for arm in ("Früh & spät", "late"):
        of = {"arm_id": f"{mailing}:{arm}"}
        expected = [users[row["user_id"]] for row in get_db().emails.find(of).sort("_id", -1)]
        asked = urlencode({"arm": arm})
        assert read_recipients(browser, f"{path}?{asked}") == expected
        lines = browser.get(f"{path}/recipients.csv?{asked}").text.splitlines()[1:]
        assert [line.split(",")[1].strip('"') for line in lines] == expected
        some = read_recipients(browser, f"{path}?{asked}&q=p1")
        assert sorted(some) == sorted(one for one in expected if one.startswith("p1"))
        assert read_recipients(browser, f"{path}?{asked}&did=gave") == []
    assert "Filter recipients by arm" in browser.get(path).text
    plain = alice.mailing(spring, **SENT)
    assert "Filter recipients by arm" not in browser.get(f"/dashboard/mailings/{plain}").text
