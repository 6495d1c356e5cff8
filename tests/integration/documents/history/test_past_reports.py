"""A report as of a time has exactly the figures that the report had then."""

import time
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.history import hours
from documents.reports import past_report
from documents.reports.report import build_fundraiser_report
from documents.values.fields import format_time
from service.dashboard.pages import fundraisers as fundraiser_pages
from tests.integration.documents.history.day import RandomDay
from tools.testbed.cast import Api, University, create_university
from tools.testbed.pages import Browser, add_staff
from tools.testbed.settled import settle_all

OTHER_RECORDS = ("as_of", "unsettled", "unmatched_events")
NO_HISTORY = "before_history"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def read_figures(alice: University, path: str) -> dict[str, Any]:
    return {name: one for name, one in alice.get(path).items() if name not in OTHER_RECORDS}


def note_reports(day: RandomDay) -> dict[str, Any]:
    paths = [f"/v1/fundraisers/{id_}/report" for id_ in day.fundraisers]
    paths += [f"/v1/mailings/{id_}/report" for _, id_ in day.mailings]
    return {path: read_figures(day.alice, path) for path in paths}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_time_has_the_report_that_staff_saw(
    alice: University, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    day = RandomDay(alice, monkeypatch, seed)
    noted = []
    for _ in range(40):
        day.step()
        noted.append((day.at, note_reports(day)))
    assert len({str(reports) for _, reports in noted}) > 20
    for is_summed in (False, True):
        if is_summed:
            while hours.sum_next_hour(day.at):
                pass
            assert get_db().counter_sums.count_documents({}) > 20
        for at, reports in noted:
            for path, figures in reports.items():
                past = read_figures(alice, f"{path}?as_of={format_time(at)}")
                assert past == figures, (at, path)


def test_an_unknown_time_is_rejected(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    settle_all()
    for path in (f"/v1/fundraisers/{spring}", f"/v1/mailings/{mailing}"):
        created = alice.get(path)["created_at"]
        assert alice.get(f"{path}/report?as_of={created}")["as_of"] == created
        for at, code in (("2026-01-01T00:00:00Z", NO_HISTORY), ("2199-01-01T00:00:00Z", "future")):
            answer = alice.call("GET", f"{path}/report?as_of={at}")
            assert answer.status == 422
            (error,) = answer.json["errors"]
            assert (error["pointer"], error["code"]) == ("/as_of", code)
        assert alice.call("GET", f"{path}/report?as_of=yesterday").status == 422


def test_a_record_of_an_earlier_version_has_no_history_before_its_migration(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    created = alice.get(f"/v1/fundraisers/{spring}")["created_at"]
    path = f"/v1/fundraisers/{spring}/report?as_of={created}"
    get_db().fundraisers.update_one({}, {"$unset": {"journal_from": ""}})
    (error,) = alice.call("GET", path).json["errors"]
    assert error["code"] == NO_HISTORY
    assert "matchback migrate" in error["detail"]


def test_a_mailing_that_was_deleted_later_is_listed(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, name="Draft")
    settle_all()
    before = alice.report(spring)["as_of"]
    time.sleep(0.002)  # times have milliseconds
    assert alice.call("DELETE", f"/v1/mailings/{mailing}").status == 204
    for at, listed in ((before, True), (alice.report(spring)["as_of"], False)):
        lines = alice.get(f"/v1/fundraisers/{spring}/report?as_of={at}")["mailings"]
        assert (mailing in [line["id"] for line in lines]) == listed


@pytest.mark.parametrize(("number", "has_more"), [(1, False), (2, False), (3, True)])
def test_a_report_says_whether_it_lists_all_mailings(
    alice: University,
    real_client: testing.TestClient,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    *,
    has_more: bool,
) -> None:
    monkeypatch.setattr(past_report, "MAX_LISTED_MAILINGS", 2)
    monkeypatch.setattr(fundraiser_pages, "DEFAULT_MAILINGS_SHOWN", 2)
    spring = alice.fundraiser()
    mailings = [alice.mailing(spring) for _ in range(number)]
    settle_all()
    at = alice.report(spring)["as_of"]
    past = alice.get(f"/v1/fundraisers/{spring}/report?as_of={at}")
    assert past["more_mailings"] == has_more
    assert [line["id"] for line in past["mailings"]] == mailings[::-1][:2]
    present = build_fundraiser_report(Fundraiser.fetch(ObjectId(alice.id), spring), 2)
    assert (present["more_mailings"], len(present["mailings"])) == (has_more, min(number, 2))
    assert alice.get(f"/v1/mailings/{mailings[0]}/report")["more_mailings"] is False
    add_staff(alice.id, "alice@example.edu")
    browser = Browser(real_client)
    browser.sign_in("alice@example.edu")
    time.sleep(0.002)
    for query in ("", f"?as_of={at[:23].rstrip('Z')}"):
        page = browser.get(f"/dashboard/fundraisers/{spring}{query}")
        assert page.status_code == 200, page.text
        assert ("shows the latest 2 mailings" in page.text) == has_more
