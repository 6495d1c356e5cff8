"""Short form of tools/bench/report_cost.py: a report costs the same for any number of gifts."""

from functools import partial

from falcon import testing

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
