"""Mailgun's events: Alice sends the spring appeal, and Bob receives it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from documents.errors import Unusable
from documents.providers.mailgun import PROVIDER, TYPES, UNCOUNTED_TYPES
from documents.providers.report import EVENT_TYPES
from tests.unit.documents.providers.mailgun_payloads import (
    AGENT,
    AT,
    CHARLIES,
    KEY,
    ORGANIZATION,
    Item,
    is_authentic,
    make_data,
    read,
    sign,
    wrap,
)


def test_bob_clicks_the_link() -> None:
    client = {"client-type": "mobile browser", "user-agent": AGENT, "bot": None}
    data = make_data("clicked", url="https://give.edu/", ip="192.0.2.1", client_info=client)
    assert is_authentic(wrap(data))
    report = read(data)
    assert report.at == datetime(2026, 2, 5, 21, 31, 58, 664000, UTC)
    assert (report.type, report.address, report.email_ref) == ("click", "bob@example.edu", "a" * 24)
    assert (report.url, report.user_agent) == ("https://give.edu/", AGENT)
    assert (report.ip, report.machine) == ("192.0.2.1", False)
    assert report.message_id == "20260205.8e3a@mail.example.edu"
    assert report.category == ("m" * 24, "spring", "alumni")
    assert report.provider_event_id == "mailgun:clicked-A9dLUrCXQjK92TlnW3zkIA:1770327118.664"


@pytest.mark.parametrize(("mailgun_type", "stored"), TYPES.items())
def test_every_documented_type_is_counted(mailgun_type: str, stored: str) -> None:
    assert stored in EVENT_TYPES
    assert read(make_data(mailgun_type)).type == stored


@pytest.mark.parametrize("mailgun_type", sorted(UNCOUNTED_TYPES))
def test_events_about_no_sent_message_give_no_report(mailgun_type: str) -> None:
    assert PROVIDER.read_events(ORGANIZATION, wrap(make_data(mailgun_type))) == ()


def test_an_unknown_type_is_kept() -> None:
    assert read(make_data("teleported")).type == "mailgun:teleported"


@pytest.mark.parametrize(
    ("bot", "machine"),
    [("apple", True), ("gmail", True), ("generic", True), ("", False), (None, False)],
)
@pytest.mark.parametrize("type_", ["opened", "clicked"])
def test_mailguns_bot_field_marks_machines(type_: str, bot: str | None, machine: bool) -> None:
    assert read(make_data(type_, client_info={"bot": bot})).machine is machine


@pytest.mark.parametrize(
    "variables",
    [
        {"email_id": "a" * 24, "mailing": "m"},
        {"email_id": json.dumps("a" * 24), "mailing": json.dumps(["m"])},
        json.dumps({"email_id": "a" * 24, "mailing": "m"}),
    ],
)
def test_variables_may_be_json_in_a_text(variables: Any) -> None:
    report = read(make_data("opened", user_variables=variables, tags=[]))
    assert (report.email_ref, report.category) == ("a" * 24, ("m",))


def test_a_payload_without_custom_values_is_read() -> None:
    report = read(make_data("opened", user_variables=[], tags=["*"], campaigns=None))
    assert (report.email_ref, report.category) == (None, ())


def test_campaigns_are_mailings() -> None:
    data = make_data("opened", user_variables={}, campaigns=[{"id": "c1", "name": "Spring"}, 1])
    assert read(data).category == ("spring", "alumni", "c1", "Spring")


def test_a_rejected_message_names_its_recipient_in_the_header() -> None:
    for to, address in (("Bob <bob@example.edu>", "bob@example.edu"), ("a@b.edu, c@d.edu", "")):
        data = make_data("rejected", message={"headers": {"to": to}}, recipient=None)
        assert read(data).address == address


def test_a_redelivery_is_the_same_event() -> None:
    data = make_data("opened")
    first, again = (
        PROVIDER.read_events(ORGANIZATION, {"signature": block, "event-data": data})[0]
        for block in (sign(KEY), sign(KEY, "1770330719", "f" * 50))
    )
    assert first == again


def test_other_facts_and_other_organizations_give_other_events() -> None:
    changes: list[Item] = [
        {},
        {"timestamp": AT + 1},
        {"recipient": "carol@example.edu"},
        {"url": "https://x.edu/"},
        {"message": {"headers": {"message-id": "other"}}},
    ]
    identities = {read(make_data("clicked", **change)).identity for change in changes}
    identities.add(read(make_data("clicked"), CHARLIES).identity)
    assert len(identities) == len(changes) + 1


def test_an_id_that_returns_on_another_day_is_another_event() -> None:
    today, tomorrow = (read(make_data("opened", timestamp=AT + s)) for s in (0, 86_400))
    assert today.provider_event_id != tomorrow.provider_event_id


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"event": 1, "timestamp": AT},
        {"event": "opened"},
        {"event": "opened", "timestamp": True},
        {"event": "opened", "timestamp": float("nan")},
        {"event": "opened", "timestamp": 10**400},
        {"event": "opened", "timestamp": "soon"},
    ],
)
def test_an_unreadable_payload_has_a_reason(data: Any) -> None:
    with pytest.raises(Unusable, match=r"."):
        PROVIDER.read_events(ORGANIZATION, {"event-data": data})
