"""/v1/organization returns the key's own organization, and reports use its time zone."""

import pytest
from bson import ObjectId
from falcon import testing

from documents.access.api_key import ApiKey
from documents.organization import Organization
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all


def test_a_key_sees_and_changes_its_own_organization(
    alice: University, charlie: University
) -> None:
    found = alice.get("/v1/organization")
    assert (found["id"], found["time_zone"], found["locale"]) == (alice.id, "UTC", "en-US")
    changes = {"name": "Alice College", "time_zone": "America/New_York", "locale": "de-DE"}
    answer = alice.call("PATCH", "/v1/organization", changes)
    assert (answer.status, answer.json) == (200, found | changes)
    assert alice.get("/v1/organization") == found | changes
    assert charlie.get("/v1/organization")["name"] == "Charlie's University"


def test_only_an_admin_changes_the_organization(alice: University) -> None:
    _, secret = ApiKey.issue(ObjectId(alice.id), "writer", ["read", "write"])
    writer = University(alice.id, secret, alice.api)
    assert writer.call("GET", "/v1/organization").status == 200
    assert writer.call("PATCH", "/v1/organization", {"name": "X"}).status == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone"),
        ({"time_zone": "/etc/localtime"}, "/time_zone"),
        ({"time_zone": ""}, "/time_zone"),
        ({"time_zone": "America"}, "/time_zone"),
        ({"time_zone": "\x00"}, "/time_zone"),
        ({"time_zone": None}, "/time_zone"),
        ({"locale": "xx-YY"}, "/locale"),
        ({"locale": "de_DE"}, "/locale"),
        ({"locale": "de-DE@euro"}, "/locale"),
        ({"locale": "../../etc/passwd"}, "/locale"),
        ({"locale": ""}, "/locale"),
        ({"locale": None}, "/locale"),
        ({"locale": "de-" * 300}, "/locale"),
        ({"name": " "}, "/name"),
        ({"id": "f" * 24}, "/id"),
    ],
)
def test_bad_input_is_located(alice: University, body: object, pointer: str) -> None:
    answer = alice.call("PATCH", "/v1/organization", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert alice.get("/v1/organization")["time_zone"] == "UTC"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("DE-de", "de-DE"), ("de", "de"), ("zh-TW", "zh-Hant-TW"), ("en-001", "en-001")],
)
def test_a_locale_is_stored_in_one_spelling(alice: University, sent: str, stored: str) -> None:
    answer = alice.call("PATCH", "/v1/organization", {"locale": sent})
    assert (answer.status, answer.json["locale"]) == (200, stored)


def test_an_organization_of_an_earlier_version_has_the_default_locale(alice: University) -> None:
    Organization.objects(id=alice.id).update(unset__locale=True)
    assert alice.get("/v1/organization")["locale"] == "en-US"


def test_reports_group_gifts_by_the_organizations_days_and_hours(
    real_client: testing.TestClient,
) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.call("PATCH", "/v1/organization", {"time_zone": "America/New_York"})
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    for at in ("2026-11-01T03:59:00Z", "2026-11-01T04:10:00Z", "2026-11-01T05:30:00Z"):
        gift = alice.gift(spring, donated_at=at, email_id=email)
    alice.gift(spring, 999, currency="JPY", donated_at="2026-11-01T06:30:00Z")
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    settle_all()
    report = alice.report(spring)
    assert report["time_zone"] == "America/New_York"
    assert report["by_day"] == [
        {"day": "2026-10-31", "count": 1, "raised": {"USD": 2500}},
        {"day": "2026-11-01", "count": 3, "raised": {"JPY": 999, "USD": 4500}},
    ]
    assert report["by_hour"][1:] == [
        {"hour": "2026-11-01T00:00:00-04:00", "count": 1, "raised": {"USD": 2500}},
        {"hour": "2026-11-01T01:00:00-04:00", "count": 1, "raised": {"USD": 2000}},
        {"hour": "2026-11-01T01:00:00-05:00", "count": 1, "raised": {"JPY": 999}},
    ]
    of_mailing = alice.get(f"/v1/mailings/{mailing}/report")
    assert [line["count"] for line in of_mailing["by_day"]] == [1, 2]
    assert report["giving_rates"] == {
        "response": 3.0,
        "click_to_gift": None,
    }  # gifts for each email sent
    alice.call("DELETE", f"/v1/donations/{gift}")
    settle_all()
    assert [line["count"] for line in alice.report(spring)["by_day"]] == [1, 2]
    assert [line["count"] for line in alice.get(f"/v1/mailings/{mailing}/report")["by_day"]] == [
        1,
        1,
    ]
