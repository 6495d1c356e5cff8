"""Short form of tools/bench/report_cost.py: a report costs the same for any number of gifts."""

from functools import partial

from falcon import testing
from mongoengine import get_db

from config.database import get_client
from tools.bench.report_cost import create_measured_records
from tools.bench.report_reads import READS, count_work

SMALL, LARGE = 300, 6000


def test_a_report_reads_as_much_of_many_gifts_as_of_few(real_client: testing.TestClient) -> None:
    both = create_measured_records(SMALL, LARGE)
    for name, read in READS.items():
        few, many = (count_work(partial(read, of)) for of in both)
        assert few, name
        assert [(one.collection, one.documents) for one in few] == [
            (one.collection, one.documents) for one in many
        ], name
        # A search reads one key beyond its range, if there is one.
        assert all(abs(a.keys - b.keys) <= 1 for a, b in zip(few, many, strict=True)), name


def test_the_end_of_an_earlier_cursor_counts_for_no_read(real_database: str) -> None:
    """A thread of PyMongo ends it once a second, so on a busy machine during the next read."""
    get_db().gift_changes.insert_many({"at": number} for number in range(SMALL))
    next(get_db().gift_changes.find())  # without a variable, so that the cursor is given up
    assert count_work(get_client()._process_kill_cursors) == []
