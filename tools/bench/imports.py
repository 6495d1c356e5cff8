"""Import records of each kind twice, and report rates, memory and the cost of counting.

Rates use processor time of the import and of MongoDB, because other work on the machine lengthens
the elapsed time. Each import runs in a process of its own, so that its memory can be measured.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from bson import ObjectId

from config import database
from config.settings import Settings
from documents.fundraiser import Fundraiser
from documents.imports.fields import RecordKind
from documents.imports.kinds import IMPORT_KINDS
from documents.mailing import Mailing
from documents.organization import Organization
from jobs.sweep import sweep_due_records
from service.api.import_lines import import_lines
from tools.testbed.stack import Servers, run_servers

KIBIBYTES_PER_MEBIBYTE = 1024
GIFT_TIME = "2026-06-01T10:00:00Z"


@dataclass(frozen=True)
class ImportedParents:
    """The records that the lines name, as text."""

    organization: str
    fundraiser: str
    mailing: str


def build_line(records: str, parents: ImportedParents, number: int) -> bytes:
    """Return a line of an import. Four of five donations have an external ID."""
    person = {"name": f"Person {number}", "email": f"p{number}@example.edu"}
    if records == "users":
        return json.dumps(person).encode()
    if records == "emails":
        line = {"mailing_id": parents.mailing, "user": person, "sent_at": None}
        return json.dumps(line).encode()
    own = {"donated_at": GIFT_TIME} if number % 5 == 0 else {"external_id": f"gift-{number}"}
    gift = {"fundraiser_id": parents.fundraiser, "amount": 2500, "currency": "USD"}
    return json.dumps({**gift, "donor": person, **own}).encode()


def import_once(records: RecordKind, parents: ImportedParents, lines: int) -> dict[str, Any]:
    """Import lines in this process. Return counts, times and the growth of its memory."""
    kind = IMPORT_KINDS[records]
    importing = kind.importing(ObjectId(parents.organization))

    def read() -> Iterator[tuple[int, bytes]]:
        for number in range(lines):
            yield number + 1, build_line(records, parents, number)

    import_lines(kind, importing, [(1, b"{}")])  # so that all modules are loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, used = time.monotonic(), time.process_time()
    import_lines(kind, importing, read())
    return {
        "created": importing.created,
        "found": importing.found,
        "seconds": time.monotonic() - begun,
        "processor_seconds": time.process_time() - used,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    }


def measure_import(
    servers: Servers, uri: str, records: str, parents: ImportedParents, lines: int
) -> None:
    """Import lines in a child process, and print the result."""
    names = parents.organization, parents.fundraiser, parents.mailing
    command = [sys.executable, "-m", "tools.bench.imports", "--child", uri, records, *names]
    begun = _read_mongodb_seconds(servers)
    done = subprocess.run([*command, str(lines)], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    mongodb = _read_mongodb_seconds(servers) - begun
    rate = lines / result["processor_seconds"]
    _print(
        f"{lines} {records}: {result['created']} created, {result['found']} found, "
        f"{result['seconds']:.1f} s, {rate:.0f} a second of Python's processor time "
        f"({result['processor_seconds']:.1f} s; MongoDB {mongodb:.1f} s), "
        f"memory +{result['memory'] / KIBIBYTES_PER_MEBIBYTE:.0f} MB"
    )


def measure_counting(servers: Servers, what: str) -> None:
    """Settle everything that is due in this process, and print the cost."""
    begun, used = time.monotonic(), time.process_time()
    mongodb = _read_mongodb_seconds(servers)
    done = 0
    while settled := sweep_due_records():
        done += settled
    mongodb = _read_mongodb_seconds(servers) - mongodb
    _print(
        f"counted {what}: {done} records, {time.monotonic() - begun:.1f} s, processor time "
        f"{time.process_time() - used:.1f} s; MongoDB {mongodb:.1f} s"
    )


def _read_mongodb_seconds(servers: Servers) -> float:
    """Return the processor time of MongoDB so far. It is the first server that starts."""
    used = psutil.Process(next(iter(servers.supervisor.pids().values()))).cpu_times()
    return float(used.user + used.system)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def create_parents() -> ImportedParents:
    """Create an organization with a fundraiser and a mailing."""
    organization = Organization.create("University")
    fundraiser = Fundraiser(organization_id=organization.id, name="Spring").insert()
    of = {"organization_id": organization.id, "fundraiser_id": fundraiser.id}
    mailing = Mailing(name="Appeal", **of).insert()
    return ImportedParents(str(organization.id), str(fundraiser.id), str(mailing.id))


def create_next_mailing(parents: ImportedParents) -> ImportedParents:
    """Return the parents with another mailing to the same people."""
    of = {
        "organization_id": ObjectId(parents.organization),
        "fundraiser_id": ObjectId(parents.fundraiser),
    }
    mailing = Mailing(name="Reminder", **of).insert()
    return ImportedParents(parents.organization, parents.fundraiser, str(mailing.id))


def run(lines: int, records: list[str]) -> None:
    """Run all measurements with this number of lines."""
    for name in records:
        with (
            tempfile.TemporaryDirectory(prefix="imports") as folder,
            run_servers(Path(folder)) as (servers, uri),
        ):
            parents = create_parents()
            for _ in range(2):
                measure_import(servers, uri, name, parents, lines)
            measure_counting(servers, name)
            if name == "emails":
                parents = create_next_mailing(parents)
                measure_import(servers, uri, name, parents, lines)
                measure_counting(servers, "emails to the same people")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        uri, name, *names, number = sys.argv[2:]
        records: RecordKind = next(kind for kind in IMPORT_KINDS if kind == name)
        database.connect_database(Settings(mongodb_uri=uri))
        _print(json.dumps(import_once(records, ImportedParents(*names), int(number))))
        return
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, nargs="+", default=[20_000, 200_000])
    options.add_argument("--records", nargs="+", default=list(IMPORT_KINDS), choices=IMPORT_KINDS)
    given = options.parse_args()
    for lines in given.lines:
        run(lines, given.records)


if __name__ == "__main__":
    main()
