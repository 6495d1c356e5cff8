"""`python -m tools.bench.scaling_sample`: the bytes of a record and of its keys, for scaling.py.

20,000 emails, as many events and 5,000 gifts come in by the API and are counted by a worker, so
that indexes are filled as they are in use, and not as tightly as by an import.
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
# Their keys are digests, addresses, or ids that others choose, or are looked up for records of any
# age: the next one may be anywhere. Those of other indexes grow at the end, or are few.
RANDOM_INDEXES = {
    "events": ("_id_", "organization_id_1_sg_event_id_1"),
    "messages": ("_id_",),
    "emails": ("_id_", "user_id_1_fundraiser_id_1_sent_at_1"),
    "users": ("_id_", "organization_id_1_address_1", "organization_id_1_mailbox_1"),
    "donations": ("organization_id_1_external_id_1",),
    "donors": ("_id_",),
}


def main() -> None:
    """Measure, and print what belongs into scaling.py."""
    with (
        tempfile.TemporaryDirectory(prefix="scaling") as folder,
        run_stack(Path(folder), NO_RATE_LIMITS) as stack,
    ):
        mine = MeasuredStack(stack, Workload(users=SAMPLE_EMAILS // 2, emails=SAMPLE_EMAILS))
        mine.gifts(SAMPLE_GIFTS)
        mine.posts(SAMPLE_EMAILS // EVENTS_A_POST, EVENTS_A_POST)
        assert mine.differences() == 0
        get_connection().admin.command("fsync")  # sizes are known after a checkpoint
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
