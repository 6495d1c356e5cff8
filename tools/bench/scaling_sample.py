"""`python -m tools.bench.scaling_sample`: bytes of a record and of its keys, for scaling.py.

The API receives 20,000 emails, 20,000 events and 5,000 gifts, and a worker counts them. So indexes
fill as they do in use, less tightly than after an import.
"""

import tempfile
from pathlib import Path

from mongoengine import get_connection, get_db

from tools.bench.ours import MeasuredStack
from tools.bench.scaling import RECORD_COUNTS
from tools.bench.workload import EVENTS_A_POST, Workload
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

SAMPLE_EMAILS = 20_000
SAMPLE_GIFTS = 5_000
# Their keys are digests, addresses, or IDs that clients choose, or they serve look-ups of records
# of any age. So the next key may be anywhere. Other indexes grow at the end, or are small.
RANDOM_INDEXES = {
    "events": ("_id_", "organization_id_1_report_key_1"),
    "messages": ("_id_",),
    "emails": ("_id_", "user_id_1_fundraiser_id_1_sent_at_1"),
    "users": ("_id_", "organization_id_1_address_1", "organization_id_1_mailbox_1"),
    "donations": ("organization_id_1_external_id_1",),
    "donors": ("_id_",),
}


def main() -> None:
    """Measure, and print the lines for scaling.py."""
    with (
        tempfile.TemporaryDirectory(prefix="scaling") as folder,
        run_stack(Path(folder), NO_RATE_LIMITS, has_worker=False) as stack,
    ):
        mine = MeasuredStack(stack, Workload(users=SAMPLE_EMAILS // 2, emails=SAMPLE_EMAILS))
        mine.gifts(SAMPLE_GIFTS)
        mine.posts(SAMPLE_EMAILS // EVENTS_A_POST, EVENTS_A_POST)
        assert mine.differences() == 0
        get_connection().admin.command("fsync")  # MongoDB knows sizes after a checkpoint
        for name in RECORD_COUNTS:
            told = get_db().command("collStats", name)
            sizes = told["indexSizes"]
            random = sum(sizes[index] for index in RANDOM_INDEXES.get(name, ()))
            each = [
                round(size / told["count"])
                for size in (told["storageSize"], told["totalIndexSize"], random)
            ]
            print(f'    Measured("{name}", {each[0]}, {each[1]}, {each[2]}),')  # noqa: T201


if __name__ == "__main__":
    main()
