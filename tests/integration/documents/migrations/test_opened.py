"""Clicked emails from before a click implied an open: the migration counts them as opened."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.migrations import migration as module
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS, OPENED_MIGRATION
from documents.recount import recount
from jobs.sweep import sweep_due_records
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://give.example.edu/spring"
OURS = tuple(one for one in MIGRATIONS if one.number == OPENED_MIGRATION)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def opened(alice: University, path: str) -> tuple[int, Any]:
    report = alice.get(f"/v1/{path}/report")
    return report["emails"]["opened"], report["rates"]["click_to_open"]


def forget_implied_opens() -> int:
    """Give counters and contributions the values of the earlier version."""
    database, changed = get_db(), 0
    for email in database.emails.find({"clicks": {"$gt": 0}, "opens": 0}):
        (text, *targets), *others = email["counted"]
        counted = [[text.replace('"funnel.opened":1,', ""), *targets], *others]
        database.emails.update_one({"_id": email["_id"]}, {"$set": {"counted": counted}})
        for name in ("fundraiser", "mailing"):
            database[f"{name}s"].update_one(
                {"_id": email[f"{name}_id"]}, {"$inc": {"funnel.opened": -1}}
            )
        segments = {"_id": {"$in": email["segment_ids"]}}
        database.segments.update_many(segments, {"$inc": {"funnel.opened": -1}})
        changed += 1
    database.migrations.delete_one({"_id": OPENED_MIGRATION})
    return changed


def test_clicked_emails_count_as_opened_page_by_page(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    emails = [alice.email(spring, mailing_id=mailing) for _ in range(6)]
    alice.deliver([make_event(email, "delivered", AT) for email in emails])
    alice.deliver([make_event(email, "click", AT + 60, url=LINK) for email in emails[:4]])
    alice.deliver([make_event(email, "open", AT + 50) for email in emails[3:5]])
    settle_all()
    of = [f"fundraisers/{spring}", f"mailings/{mailing}"]
    assert [opened(alice, path) for path in of] == [(5, 0.8)] * 2
    assert forget_implied_opens() == 3
    assert [opened(alice, path) for path in of] == [(2, 2.0)] * 2
    assert [drift.field for drift in recount.find_drifts()] == ["counted"] * 3
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    pages: Any = run_migrations(OURS)
    next(pages)
    pages.close()  # the process stops
    assert [opened(alice, path)[0] for path in of] == [3, 3]
    # Traffic continues, and counts one of the remaining emails.
    alice.deliver([make_event(emails[2], "open", AT + 99)])
    while sweep_due_records():
        pass
    assert [drift.field for drift in recount.find_drifts()] == ["counted"]
    list(run_migrations(OURS))
    assert [opened(alice, path) for path in of] == [(5, 0.8)] * 2
    assert list(recount.find_drifts()) == []


def test_a_persons_click_implies_an_open_and_a_machines_does_not(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    bobs, scanned = (alice.email(spring, mailing_id=mailing) for _ in range(2))
    alice.deliver([make_event(email, "delivered", AT) for email in (bobs, scanned)])
    alice.deliver(
        [
            make_event(bobs, "click", AT + 60, url=LINK),
            make_event(scanned, "click", AT + 60, url=LINK, useragent="Mimecast"),
        ]
    )
    settle_all()
    figures = alice.report(spring)["emails"]
    assert (figures["opened"], figures["opens"], figures["clicked"]) == (1, 0, 1)
    assert opened(alice, f"mailings/{mailing}") == (1, 1.0)
