"""Count imported emails while MongoDB is paused.

Each pause outlasts a transaction's lifetime, so MongoDB aborts the batch in progress. The benchmark
uses only what every version has, so that two versions can be compared on one machine.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from mongoengine import get_db

from tools.testbed.cast import University, university
from tools.testbed.stack import Stack, running, wait_until

PAUSE_SECONDS = 5.0  # servers.TRANSACTION_SECONDS is 3
CATCH_UP_SECONDS = 10.0
PATIENCE_SECONDS = 600
LINES_A_POST = 1000
DUE = {"due": {"$type": "date"}}


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Pause a process until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True)
class Result:
    """Times in seconds, and the number of counted emails."""

    emails: int
    pauses: int
    total: float
    after_last_pause: float
    counted: int

    def line(self) -> str:
        """Return the result in one line for people."""
        working = self.total - self.pauses * PAUSE_SECONDS
        return (
            f"{self.emails} emails, {self.pauses} pauses of {PAUSE_SECONDS:.0f} s: {self.total:.1f}"
            f" s, {self.emails / working:.0f} a second while MongoDB ran; all counted"
            f" {self.after_last_pause:.1f} s after the last pause"
        )


def measure(stack: Stack, place: University, emails: int, pauses: int) -> Result:
    """Import emails while no worker runs, then count them under pauses."""
    fundraiser = place.fundraiser()
    stack.kill("worker", signal.SIGTERM)
    import_emails(place, stack.url, fundraiser, emails)
    stack.start_worker()
    wait_until(lambda: due() < emails, "the first are counted", PATIENCE_SECONDS)
    begun = continued = time.monotonic()
    for number in range(1, pauses + 1):
        left = emails * (pauses + 1 - number) // (pauses + 1)
        wait_until(partial(_are_due, left), "some are counted", PATIENCE_SECONDS)
        with paused(stack.servers.pid("MongoDB")):
            time.sleep(PAUSE_SECONDS)
        continued = time.monotonic()
    wait_until(lambda: due() == 0, "all are counted", PATIENCE_SECONDS)
    ended = time.monotonic()
    counted = place.report(fundraiser)["emails"]["sent"]
    return Result(emails, pauses, ended - begun, ended - continued, counted)


def import_emails(place: University, url: str, fundraiser: str, emails: int) -> None:
    """Import this many emails, each to a different person."""
    mailing = place.mailing(fundraiser)
    for start in range(0, emails, LINES_A_POST):
        lines = [
            {
                "fundraiser_id": fundraiser,
                "mailing_id": mailing,
                "user": {"name": f"Person {number}", "email": f"p{number}@example.edu"},
            }
            for number in range(start, min(start + LINES_A_POST, emails))
        ]
        answer = httpx.post(
            f"{url}/v1/emails/import",
            content="\n".join(map(json.dumps, lines)).encode(),
            headers={
                "Authorization": f"Bearer {place.key}",
                "Content-Type": "application/x-ndjson",
            },
            timeout=60,
        )
        assert answer.status_code == 200, answer.content


def due() -> int:
    """Return how many emails are not counted yet."""
    return int(get_db().emails.count_documents(DUE))


def _are_due(at_most: int) -> bool:
    return due() <= at_most


def main() -> int:
    """Print the times with and without pauses. Return 1 if catching up takes too long."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--emails", type=int, default=6000)
    options.add_argument("--pauses", type=int, default=3)
    told = options.parse_args()
    results = []
    for pauses in (0, told.pauses):
        with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as stack:
            place = university("Slow database", stack.api())
            results.append(measure(stack, place, told.emails, pauses))
        print(results[-1].line(), flush=True)  # noqa: T201
    return 1 if results[-1].after_last_pause > CATCH_UP_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
