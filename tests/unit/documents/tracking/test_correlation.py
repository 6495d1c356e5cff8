"""The email that an event belongs to: pure."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from documents.message import make_message_key
from documents.rows.email import EmailRow
from documents.tracking.correlation import choose_email
from tests.rows import email_row, event_row

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMED, MESSAGE = ObjectId(), ObjectId()
EVENT = event_row(at=NOON)


def email(hours: float | None) -> EmailRow:
    sent_at = NOON + timedelta(hours=hours) if hours is not None else None
    return email_row(sent_at=sent_at)


def test_the_email_id_takes_precedence_over_the_message() -> None:
    assert choose_email(EVENT, NAMED, MESSAGE, [email(-1)]) == (NAMED, "email_id")
    assert choose_email(EVENT, None, MESSAGE, [email(-1)]) == (MESSAGE, "message")
    assert choose_email(EVENT, None, None, []) is None


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_email_before_the_event_wins(order: int) -> None:
    emails = [email(-9), email(-1), email(None), email(3)]
    assert choose_email(EVENT, None, None, emails[::order]) == (emails[1]["_id"], "address")


def test_an_unsent_email_is_better_than_none() -> None:
    """Events arrive before clients record when they sent their emails."""
    only = email(None)
    assert choose_email(EVENT, None, None, [only]) == (only["_id"], "address")


def test_the_only_recent_email_comes_last() -> None:
    only, mailed = ObjectId(), email(-1)
    assert choose_email(EVENT, NAMED, None, [], only) == (NAMED, "email_id")
    assert choose_email(EVENT, None, MESSAGE, [], only) == (MESSAGE, "message")
    assert choose_email(EVENT, None, None, [mailed], only) == (mailed["_id"], "address")
    assert choose_email(EVENT, None, None, [], only) == (only, "only_recent_email")


def test_a_message_is_identified_with_its_address() -> None:
    of = {"organization_id": ObjectId(), "message_id": "m"}
    key = make_message_key(event_row(**of, address="Bob@x.edu "))
    assert key == make_message_key(event_row(**of, address="bob@x.edu"))
    assert key != make_message_key(event_row(**of, address="eve@x.edu"))
    assert key != make_message_key(event_row(message_id="m", address="bob@x.edu"))
    assert (
        make_message_key(event_row(organization_id=of["organization_id"], address="bob@x.edu"))
        is None
    )
