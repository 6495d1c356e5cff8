"""Short form of tools/bench/report_cost.py: a report costs the same for any number of gifts."""

from falcon import testing
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.organization import Organization
from documents.reports.report import build_fundraiser_report
from tools.bench.report_cost import create_counted_fundraiser

SMALL, LARGE = 300, 6000


def work(fundraiser: Fundraiser) -> list[tuple[str, int, int]]:
    """Return MongoDB's work for a report: collections, with examined keys and documents."""
    database = get_db()
    database.command("profile", 2)
    build_fundraiser_report(fundraiser)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": {"$not": {"$regex": "profile"}}}))
    database.drop_collection("system.profile")
    return [
        (one["ns"].split(".", 1)[1], one.get("keysExamined", 0), one.get("docsExamined", 0))
        for one in seen
    ]


def test_a_report_reads_as_much_of_many_gifts_as_of_few(real_client: testing.TestClient) -> None:
    organization = Organization.create("Reports", "America/New_York")
    few, many = (
        work(create_counted_fundraiser(organization.id, number)) for number in (SMALL, LARGE)
    )
    assert len(few) > 5
    assert few == many
