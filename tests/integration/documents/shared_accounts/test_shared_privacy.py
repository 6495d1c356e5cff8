"""Unrouted items hold addresses of people, although they belong to no organization."""

import json
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from mongoengine import get_db

from documents.privacy import retention
from documents.shared_accounts import unrouted
from jobs.sweep import sweep_due_records
from tests.integration.documents.privacy.test_erasure import traces
from tests.integration.documents.shared_accounts.conftest import Deliver
from tests.integration.documents.shared_accounts.test_routing import (
    AT,
    look_again,
    opens,
    record_email,
)
from tools.testbed.cast import UNKNOWN_ID, University, make_event
from tools.testbed.settled import settle_all

BOB = "to=bob@example.edu"
SOON = datetime.now(UTC) + timedelta(days=1)


def erase_bob(place: University, email: str) -> None:
    user = place.get(f"/v1/emails/{email}")["user_id"]
    assert place.call("DELETE", f"/v1/users/{user}?erase=true").status == 204
    settle_all()


def test_an_erasure_removes_the_address_from_unrouted_items(
    alice: University, deliver: Deliver
) -> None:
    email = alice.email(alice.fundraiser())
    escaped = json.dumps(make_event("", "open", AT)).replace("bob@", "\\u0062ob@")
    deliver(
        [
            make_event(email, "open", AT),
            make_event(UNKNOWN_ID, "open", AT, ip="192.0.2.7", useragent="Mutt/2"),
            make_event("", "open", AT + 1, ip="192.0.2.8"),
            make_event("", "open", AT, email="bobby@example.edu"),
            make_event("", "click", AT, email="eve@x.edu", url=f"https://x/?{BOB}", ip="192.0.2.9"),
        ]
    )
    deliver(None, body=f"[{escaped}]".encode())
    deliver(None, body=b"no array, but bob@example.edu")
    settle_all()
    erase_bob(alice, email)
    assert traces("bob@example.edu", "\\u0062ob@") == []
    kept = {json.dumps(one.item) for one in unrouted.list_unrouted_items()}
    text = " ".join(kept)
    assert "bobby@example.edu" in text
    assert "eve@x.edu" in text
    assert UNKNOWN_ID in text
    assert "192.0.2.7" not in text
    assert "Mutt/2" not in text
    assert "192.0.2.8" not in text  # this item can never be routed, so nothing of it stays
    assert "192.0.2.9" in text  # Eve's client


def test_an_erasure_by_one_organization_takes_no_event_from_another(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    """Alice erases Bob before Charlie has recorded his email to Bob."""
    email, late = alice.email(alice.fundraiser()), ObjectId()
    deliver([make_event(str(late), "open", AT)])
    settle_all()
    erase_bob(alice, email)
    record_email(charlie, late)
    look_again()
    settle_all()
    assert opens(charlie, str(late)) == 1


def test_an_erasure_waits_until_posts_about_the_person_are_routed(
    alice: University, deliver: Deliver
) -> None:
    email = alice.email(alice.fundraiser())
    settle_all()
    deliver([make_event("", "open", AT), make_event(email, "open", AT)])
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    alice.call("DELETE", f"/v1/users/{user}?erase=true")
    sweep_due_records()
    get_db().users.update_many({"erase_due": {"$exists": True}}, {"$set": {"erase_due": AT_ONCE}})
    settle_all()
    assert traces("bob@example.edu") == []
    assert opens(alice, email) == 1


AT_ONCE = datetime(2020, 1, 1, tzinfo=UTC)


def test_retention_drops_unrouted_items_but_no_post_that_waits(deliver: Deliver) -> None:
    deliver([make_event(UNKNOWN_ID, "open", AT)])
    settle_all()
    deliver([make_event(UNKNOWN_ID, "open", AT + 1)])
    assert retention.drop_shared_posts(SOON - timedelta(days=2)) == 0
    assert retention.drop_shared_posts(SOON) == 1
    assert get_db().shared_posts.count_documents({}) == 1
    settle_all()
    assert retention.drop_shared_posts(SOON) == 1
