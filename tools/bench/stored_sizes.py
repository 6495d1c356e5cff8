"""Measure the size of each collection after a mailing.

docs/reference/stored-data.md has the figures, for 100,000 emails.
"""

import argparse
import tempfile
from pathlib import Path

from mongoengine import get_db

from documents.storage.due_groups import count_due
from tools.bench.mailing_day import build_recipient_address, send_mailing
from tools.testbed.cast import create_university
from tools.testbed.stack import Stack, run_stack, wait_until

MEGABYTE = 1_000_000
SCALED_EMAILS = 100_000
EMAILS_A_GIFT = 20


def measure_collections(folder: Path, emails: int) -> list[tuple[str, int, float, float]]:
    """Return the documents, and the megabytes of data and of indexes, of each collection."""
    with run_stack(folder) as stack:
        result = send_mailing(stack, emails)
        assert not result.differences, result.differences
        _give(stack, emails // EMAILS_A_GIFT)
        rows = []
        for name in sorted(get_db().list_collection_names()):
            if name.startswith("system."):
                continue
            stats = get_db().command("collStats", name)
            sizes = (stats["size"] / MEGABYTE, stats["totalIndexSize"] / MEGABYTE)
            rows.append((name, stats["count"], *sizes))
        return rows


def _give(stack: Stack, gifts: int) -> None:
    place = create_university("Gifts", stack.api())
    fundraiser = place.fundraiser()
    for number in range(gifts):
        donor = {"name": f"Person {number}", "email": build_recipient_address(number)}
        email = place.email(fundraiser, donor)
        place.gift(fundraiser, donor=donor, email_id=email, external_id=f"gift-{number}")
    wait_until(lambda: not count_due("donations", limit=1), "all gifts settled", 600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=10_000)
    emails = parser.parse_args().emails
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_collections(Path(folder), emails)
    scale = SCALED_EMAILS / emails
    lines = ["| collection | documents | data, MB | indexes, MB |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {count * scale:,.0f} | {data * scale:,.1f} | {indexes * scale:,.1f} |"
        for name, count, data, indexes in rows
    ]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
