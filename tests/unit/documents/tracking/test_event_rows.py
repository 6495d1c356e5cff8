"""The stored form of an event: its keys, and only the fields that a reader needs."""

from typing import Any

import pytest
from bson import ObjectId

from documents.event import (
    FINDING_FIELDS,
    drop_unread_fields,
    make_report_key,
    to_event_row,
)
from documents.providers.sendgrid import read_event_report
from documents.rows.event import EventRow
from documents.tracking.former_rows import read_report_key
from tests.rows import event_row

ORGANIZATION, DELIVERY, EMAIL = ObjectId(), ObjectId(), ObjectId()
AT = 1_763_000_000


def build_row(type_: str, **more: Any) -> EventRow:
    item = {
        "event": type_,
        "timestamp": AT,
        "email": "bob@example.edu",
        "email_id": str(EMAIL),
        "sg_event_id": "one",
        "sg_message_id": "m",
        "useragent": "Mozilla/5.0",
        "category": ["Appeal"],
        **more,
    }
    report = read_event_report(ORGANIZATION.binary, item)
    return to_event_row(report, ORGANIZATION, DELIVERY, 3)


def test_an_event_with_an_email_keeps_only_what_a_reader_needs() -> None:
    row = build_row("open") | {"email_id": EMAIL, "tied_by": "email_id"}
    drop_unread_fields(row)
    told = {"_id", "organization_id", "delivery_id", "item", "type", "at", "report_key"}
    assert row.keys() == told | {"email_id"}


def test_a_click_keeps_what_its_label_needs() -> None:
    row = build_row("click", url="https://x.edu/") | {"email_id": EMAIL, "tied_by": "message"}
    drop_unread_fields(row)
    kept = {name: row.get(name) for name in ("url", "user_agent", "link_position", "tied_by")}
    assert kept == {
        "url": "https://x.edu/",
        "user_agent": "Mozilla/5.0",
        "link_position": "none",
        "tied_by": "message",
    }
    assert not row.keys() & set(FINDING_FIELDS)


def test_an_unmatched_event_keeps_what_can_find_its_email() -> None:
    row = build_row("open") | {"unmatched": "bob@example.edu"}
    drop_unread_fields(row)
    assert {name: row[name] for name in FINDING_FIELDS if name in row} == {  # type: ignore[literal-required]
        "address": "bob@example.edu",
        "message_id": "m",
        "category": ["Appeal"],
    }


@pytest.mark.parametrize(("reference", "names"), [("a" * 24, True), ("x", True), ("", None)])
def test_an_unmatched_bounce_remembers_that_it_named_an_email(
    reference: str, names: bool | None
) -> None:
    """Otherwise, the bounce of a deleted email could belong to another email."""
    bounce = build_row("bounce", email_id=reference)
    assert bounce.get("names_email") is names
    assert "names_email" not in build_row("open", email_id=reference)
    bounce["email_id"] = EMAIL
    drop_unread_fields(bounce)
    assert "names_email" not in bounce


@pytest.mark.parametrize("id_", [None, ""])
def test_an_event_without_the_providers_id_has_no_key(id_: str | None) -> None:
    assert "report_key" not in build_row("open", sg_event_id=id_)
    assert read_report_key(ORGANIZATION, build_row("open", sg_event_id=id_)) is None


def test_a_key_belongs_to_one_organization_and_one_id() -> None:
    keys = {make_report_key(of, id_) for of in (ORGANIZATION, DELIVERY) for id_ in ("a", "b")}
    assert len(keys) == 4


def test_both_forms_of_a_row_have_one_key() -> None:
    former = event_row(organization_id=ORGANIZATION, sg_event_id="one")
    assert read_report_key(ORGANIZATION, former) == build_row("open")["report_key"]
