"""Count imported emails while MongoDB is paused.

Each pause outlasts the life of a transaction, so MongoDB ends the batch in hand. Uses only what
every version has, so that two versions can be compared on one machine.
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

from documents.storage.due_groups import count_due
from tools.testbed.cast import University, create_university
from tools.testbed.stack import Stack, run_stack, wait_until

DATABASE_PAUSE_SECONDS = 5.0  # servers.TRANSACTION_LIFETIME_SECONDS is 3
MAX_CATCH_UP_SECONDS = 10.0
COUNT_TIMEOUT_SECONDS = 600
LINES_A_POST = 1000


@contextmanager
def pause_process(pid: int) -> Iterator[None]:
    """Pause a process until the end of the context."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True)
class PauseResult:
    """Times in seconds, and how many emails were counted."""

    emails: int
    pauses: int
    total: float
    after_last_pause: float
    counted: int

    def line(self) -> str:
        """One line for people."""
        working = self.total - self.pauses * DATABASE_PAUSE_SECONDS
        return (
            f"{self.emails} emails, {self.pauses} pauses of {DATABASE_PAUSE_SECONDS:.0f} s: "
            f"{self.total:.1f} s, {self.emails / working:.0f} a second while MongoDB ran; "
            f"all counted {self.after_last_pause:.1f} s after the last pause"
        )


def measure_under_pauses(stack: Stack, place: University, emails: int, pauses: int) -> PauseResult:
    """Import emails while no worker runs, then count them under pauses."""
    fundraiser = place.fundraiser()
    stack.kill("worker", signal.SIGTERM)
    import_numbered_emails(place, stack.url, fundraiser, emails)
    stack.start_worker()
    wait_until(lambda: count_due_emails() < emails, "the first are counted", COUNT_TIMEOUT_SECONDS)
    begun = continued = time.monotonic()
    for number in range(1, pauses + 1):
        left = emails * (pauses + 1 - number) // (pauses + 1)
        wait_until(partial(_are_due, left), "some are counted", COUNT_TIMEOUT_SECONDS)
        with pause_process(stack.servers.pid("MongoDB")):
            time.sleep(DATABASE_PAUSE_SECONDS)
        continued = time.monotonic()
    wait_until(lambda: count_due_emails() == 0, "all are counted", COUNT_TIMEOUT_SECONDS)
    ended = time.monotonic()
    counted = place.report(fundraiser)["emails"]["sent"]
    return PauseResult(emails, pauses, ended - begun, ended - continued, counted)


def import_numbered_emails(place: University, url: str, fundraiser: str, emails: int) -> None:
    """Import emails to as many people."""
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


def count_due_emails() -> int:
    """Return the number of emails that are not counted yet."""
    return count_due("emails")


def _are_due(at_most: int) -> bool:
    return count_due_emails() <= at_most


def main() -> int:
    """Print the times with and without pauses; exit code 1 when catching up takes too long."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--emails", type=int, default=6000)
    options.add_argument("--pauses", type=int, default=3)
    told = options.parse_args()
    results = []
    for pauses in (0, told.pauses):
        with tempfile.TemporaryDirectory() as folder, run_stack(Path(folder)) as stack:
            place = create_university("Slow database", stack.api())
            results.append(measure_under_pauses(stack, place, told.emails, pauses))
        print(results[-1].line(), flush=True)  # noqa: T201
    return 1 if results[-1].after_last_pause > MAX_CATCH_UP_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
