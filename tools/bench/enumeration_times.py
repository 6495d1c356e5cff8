"""Measure whether the time of a sign-in or of a reset shows that an address has an account.

Each pair sends one request for an address with an account and one for an unknown address, in
alternating order, each from another client. The requests call the application in this process,
without a network, so differences are easier to see than from outside. Each address is used once.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from bson import ObjectId
from falcon import testing
from limits.storage import MemoryStorage
from mongoengine import get_db

from config.settings import get_settings
from documents.access import password as hashing
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.organization import Organization
from documents.sign_on.sign_on_provider import SignOnProvider
from service.middleware.rate_limit import rate_limit
from tools.bench.request_cost import read_clock
from tools.testbed.pages import CHEAP_HASHER, STAFF_PASSWORD, Browser
from tools.testbed.stack import NO_RATE_LIMITS, run_servers

Z_95 = 1.96  # standard normal deviate of a 95% interval
MICROSECONDS_PER_SECOND = 1_000_000
WARM_UP_PAIRS = 20
UNKNOWN, CONTROL = "unknown", "unknown, as a control"
KINDS = (
    CONTROL,
    "member",
    "member of two organizations",
    "member whose organization has a provider",
    "member whose organization requires single sign-on",
    "member without a password",
    "removed person",
    "member of the earlier layout",
)
SIGN_IN_PATH, RESET_PATH = "/dashboard/sign-in", "/dashboard/password"
FORMS = {"sign-in": (SIGN_IN_PATH, 422), "reset": (RESET_PATH, 303)}
CLOCKS = ("wall", "processor", "MongoDB")


@dataclass(frozen=True)
class Difference:
    """A kind of address compared with unknown ones, in microseconds for each clock.

    Attributes:
        typical: median for unknown addresses.
        median: median of the differences in the pairs.
        interval: 95% confidence interval of that median.
    """

    form: str
    kind: str
    typical: dict[str, float]
    median: dict[str, float]
    interval: dict[str, tuple[float, float]]


@dataclass
class Sender:
    """Sends forms, each from another client, and reads the clocks before and after."""

    browser: Browser
    database_pid: int
    sent: int = 0

    def send(self, form: str, email: str) -> dict[str, float]:
        """Return the microseconds that one form took by each clock."""
        self.sent += 1
        path, status = FORMS[form]
        address = f"10.{self.sent >> 16}.{self.sent >> 8 & 255}.{self.sent & 255}"
        fields = {"email": email, "password": "wrong horse battery"}
        before = self._read_clocks()
        answer = self.browser.send(path, fields, extras={"REMOTE_ADDR": address})
        after = self._read_clocks()
        assert answer.status_code == status, answer.text
        return {one: (after[one] - before[one]) * MICROSECONDS_PER_SECOND for one in CLOCKS}

    def _read_clocks(self) -> dict[str, float]:
        times = (time.perf_counter(), time.thread_time(), read_clock(self.database_pid))
        return dict(zip(CLOCKS, times, strict=True))


def build_address(form: str, kind: str, number: int) -> str:
    """Return an address that only one request uses. All are equally long."""
    return f"{form[0]}{KINDS.index(kind) if kind in KINDS else 9}.{number:06d}@example.edu"


def store_people(pairs: int) -> None:
    """Store a person for each pair and each kind of address."""
    alma, bolt, law, dean = (Organization.create(f"{name} University").id for name in "ABCD")
    client = {"issuer": "https://idp.example.edu", "client_id": "a", "client_secret": "b"}
    for place in (law, dean):
        SignOnProvider(organization_id=place, **client).save()
    Organization.objects(id=dean).update_one(set__requires_single_sign_on=True)
    places = dict(zip(KINDS, (None, alma, alma, law, dean, alma, alma, None), strict=True))
    hashed = hashing.hash_password(STAFF_PASSWORD)
    with patch.object(hashing, "_hasher", CHEAP_HASHER):
        for form in FORMS:
            for number in range(pairs):
                for kind, place in places.items():
                    if place is not None:
                        _store_member(place, bolt, kind, build_address(form, kind, number))
    get_db().accounts.update_many({"password": {"$type": "string"}}, {"$set": {"password": hashed}})
    for form in FORMS:
        _store_former_members(alma, form, hashed, pairs)


def _store_member(place: ObjectId, other: ObjectId, kind: str, email: str) -> None:
    password = None if kind == "member without a password" else STAFF_PASSWORD
    staff = Staff.add(place, "Ben", email, "viewer", password)
    if kind == "member of two organizations":
        Staff.add(other, "Ben", email, "viewer")
    if kind == "removed person":
        remove_member(staff)


def _store_former_members(place: ObjectId, form: str, hashed: str, pairs: int) -> None:
    emails = [build_address(form, KINDS[-1], number) for number in range(pairs)]
    shared = {"organization_id": place, "name": "Ben", "role": "viewer", "password": hashed}
    rows = [{**shared, "email": one, "address": one, "epoch": 0} for one in emails]
    get_db().staff.insert_many(rows)


def measure_form(sender: Sender, form: str, kind: str, pairs: int, first: int) -> Difference:
    """Send pairs of forms in alternating order, and compare their times.

    Args:
        first: number of the first unknown address, because each is used once.
    """
    known: list[dict[str, float]] = []
    unknown: list[dict[str, float]] = []
    for number in range(pairs):
        turns = [
            (known, build_address(form, kind, number)),
            (unknown, build_address(form, UNKNOWN, first + number)),
        ]
        for times, email in turns if number % 2 else reversed(turns):
            times.append(sender.send(form, email))
    differences = {
        one: [had[one] - lacked[one] for had, lacked in zip(known, unknown, strict=True)]
        for one in CLOCKS
    }
    return Difference(
        form,
        kind,
        typical={one: statistics.median(each[one] for each in unknown) for one in CLOCKS},
        median={one: statistics.median(values) for one, values in differences.items()},
        interval={one: find_median_interval(values) for one, values in differences.items()},
    )


def find_median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return a 95% confidence interval of the median, whatever the distribution.

    Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    ordered, count = sorted(values), len(values)
    below = max(1, math.floor(count / 2 - Z_95 * math.sqrt(count) / 2))
    return ordered[below - 1], ordered[count - below]


def compare_times(
    client: testing.TestClient, database_pid: int, pairs: int
) -> Iterator[Difference]:
    """Measure each form and each kind of address on a furnished database."""
    rate_limit.forget(MemoryStorage())
    sender = Sender(Browser(client), database_pid)
    for form, (path, _) in FORMS.items():
        sender.browser.get(path)
        for number in range(WARM_UP_PAIRS):
            sender.send(form, f"warm{number}@example.edu")
        for place, kind in enumerate(KINDS):
            yield measure_form(sender, form, kind, pairs, place * pairs)


def format_differences(found: Sequence[Difference]) -> str:
    """Return a table in Markdown."""
    head = "| form | address | " + " | ".join(f"{one}, µs" for one in CLOCKS) + " |"
    lines = [head, "| --- " * (2 + len(CLOCKS)) + "|"]
    for one in found:
        cells = [
            f"{one.median[clock]:+.0f} ({one.interval[clock][0]:+.0f} to "
            f"{one.interval[clock][1]:+.0f}) of {one.typical[clock]:.0f}"
            for clock in CLOCKS
        ]
        lines.append(f"| {one.form} | {one.kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


@contextmanager
def run_application(folder: Path) -> Iterator[tuple[testing.TestClient, int]]:
    """Start MongoDB and the application. Yield a client and the PID of MongoDB."""
    settings = {**NO_RATE_LIMITS, "MATCHBACK_SMTP_URL": "smtp://127.0.0.1:1"}
    with patch.dict("os.environ", settings), run_servers(folder) as (started, _):
        get_settings.cache_clear()
        from service.app import create_app

        yield testing.TestClient(create_app()), started.pid("MongoDB")
    get_settings.cache_clear()


def main() -> None:
    """Print the differences of all kinds of addresses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=300, help="for each form and kind of address")
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name, run_application(Path(name)) as (client, pid):
        store_people(pairs)
        found = list(compare_times(client, pid, pairs))
    print(f"{pairs} pairs; median difference and its 95% confidence interval")  # noqa: T201
    print(format_differences(found))  # noqa: T201


if __name__ == "__main__":
    main()
