"""Import a whole mailing, report its events as SendGrid does, and count them.

Every event is a pure function of an email's number, so the expected counters are known in advance.
SendGrid sends a tenth of the events twice, and a twentieth hours late.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import mongoengine
import psutil

from documents.recount import recount
from documents.storage.due_groups import count_due
from tools.testbed.cast import University, create_university, make_event
from tools.testbed.stack import Stack, run_stack, wait_until

MAILING_SENT_AT = 1_700_000_000
EVENTS_A_POST = 500
SENDER_THREADS = 4
SETTLE_TIMEOUT_SECONDS = 1800
MEBIBYTE = 1024 * 1024
GIVING_PAGE_URL = "https://give.example.edu/spring"
MACHINE_OPEN_FIELDS = {"sg_machine_open": True}


def list_email_events(number: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Return the four events of an email: type, seconds after sending, fields."""
    sent: list[tuple[str, int, dict[str, Any]]] = [("processed", 0, {})]
    match number % 10:
        case 0:
            return [*sent, ("deferred", 2, {}), ("deferred", 60, {}), ("bounce", 90, {})]
        case 1:
            return [
                *sent,
                ("delivered", 3, {}),
                ("open", 9, MACHINE_OPEN_FIELDS),
                ("open", 99, MACHINE_OPEN_FIELDS),
            ]
        case 2:
            gateway = {"url": GIVING_PAGE_URL, "useragent": "Mimecast"}
            return [*sent, ("delivered", 3, {}), ("click", 4, gateway), ("open", 700, {})]
        case 3 | 4:
            link = {"url": f"{GIVING_PAGE_URL}?email_id={number:024d}"}
            return [*sent, ("delivered", 3, {}), ("open", 600, {}), ("click", 660, link)]
        case 5:
            return [*sent, ("delivered", 3, {}), ("open", 50, {}), ("unsubscribe", 80, {})]
        case _:
            return [*sent, ("deferred", 2, {}), ("delivered", 300, {}), ("open", 900, {})]


def count_expected(emails: int) -> dict[str, int]:
    """Compute the expected counters without the product's code."""
    kinds = Counter(number % 10 for number in range(emails))
    some = kinds[6] + kinds[7] + kinds[8] + kinds[9]
    opened = kinds[2] + kinds[3] + kinds[4] + kinds[5] + some
    return {
        "sent": emails,
        "delivered": emails - kinds[0],
        "bounced": kinds[0],
        "dropped": 0,
        "opened": opened,
        "opens": opened,
        "machine_opens": 2 * kinds[1],
        "clicked": kinds[3] + kinds[4],
        "clicks": kinds[3] + kinds[4],
        "unsubscribed": kinds[5],
        "spam_reported": 0,
        "donated": 0,
    }


@dataclass
class MailingDayResult:
    """Measurements, and differences from the expected counters."""

    emails: int
    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, list[float]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    sent_events: int = 0

    def lines(self) -> list[str]:
        """Return the report for people."""
        took, emails, events = self.seconds, self.emails, 4 * self.emails
        lines = [
            f"{emails} emails imported in {took['import']:.1f} s: "
            f"{emails / took['import']:.0f} a second",
            f"the same again, all found, in {took['again']:.1f} s",
            f"counted {took['counted']:.1f} s after",
            f"{self.sent_events} events, {events} of them distinct, accepted in "
            f"{took['accepted']:.1f} s: {self.sent_events / took['accepted']:.0f} a second",
            f"all exact {took['settled']:.1f} s after the first was sent: "
            f"{self.sent_events / took['settled']:.0f} events a second",
        ]
        lines += [
            f"{name}: {before:.0f} MB before, {most:.0f} MB at peak"
            for name, (before, most) in self.megabytes.items()
        ]
        return [*lines, f"{len(self.differences)} differences", *self.differences[:20]]


def run_mailing_day(folder: Path, emails: int) -> MailingDayResult:
    """Start everything, send the mailing, and compare the counters."""
    with run_stack(folder) as stack:
        return send_mailing(stack, emails)


def send_mailing(stack: Stack, emails: int) -> MailingDayResult:
    """Send the mailing to running services."""
    place = create_university("Mailing day", stack.api())
    place.set_webhook_key()
    fundraiser = place.fundraiser()
    mailing = place.mailing(fundraiser)
    result = MailingDayResult(emails)
    result.megabytes = {name: [size, size] for name, size in _memory(stack).items()}
    for name, answer in (("import", "created"), ("again", "found")):
        begun = time.monotonic()
        told = _import(place, stack.url, _lines(fundraiser, mailing, emails))
        result.seconds[name] = time.monotonic() - begun
        _note_memory(stack, result)
        if told[answer] != emails:
            result.differences.append(f"{name}: {told}")
        if name == "import":
            _await_settled(place, fundraiser)
            result.seconds["counted"] = time.monotonic() - begun - result.seconds["import"]
    posts = list(_posts(emails))
    result.sent_events = sum(map(len, posts))
    begun = time.monotonic()
    with ThreadPoolExecutor(SENDER_THREADS) as senders:
        jobs = [senders.submit(place.deliver, post) for post in posts]
        if any(job.result().status != 202 for job in jobs):
            result.differences.append("a post was not accepted")
    result.seconds["accepted"] = time.monotonic() - begun
    _await_settled(place, fundraiser)
    result.seconds["settled"] = time.monotonic() - begun
    _note_memory(stack, result)
    _compare(place, fundraiser, mailing, result)
    return result


def _lines(fundraiser: str, mailing: str, emails: int) -> Iterator[bytes]:
    for number in range(emails):
        user = {"name": f"Person {number}", "email": build_recipient_address(number)}
        line = {"fundraiser_id": fundraiser, "mailing_id": mailing, "user": user, "sent_at": None}
        yield json.dumps(line).encode() + b"\n"


def build_recipient_address(number: int) -> str:
    """Return the recipient's address of the email with this number."""
    return f"p{number}@example.edu"


def _import(place: University, url: str, lines: Iterator[bytes]) -> Any:
    headers = {"Authorization": f"Bearer {place.key}", "Content-Type": "application/x-ndjson"}
    answer = httpx.post(
        f"{url}/v1/emails/import", content=_chunks(lines), headers=headers, timeout=600
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def _chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    chunk = b""
    for line in lines:
        chunk += line
        if len(chunk) > 60_000:
            yield chunk
            chunk = b""
    yield chunk


def _posts(emails: int) -> Iterator[list[dict[str, Any]]]:
    """Yield posts with every event, some twice and some late, in SendGrid's order."""
    chance = random.Random(1)
    sent: list[tuple[float, dict[str, Any]]] = []
    ids = _ids()
    for number in range(emails):
        begun = MAILING_SENT_AT + number // 100  # SendGrid sends a hundred at a time
        for type_, seconds, more in list_email_events(number):
            at = begun + seconds
            told = make_event(ids[number], type_, at, email=build_recipient_address(number), **more)
            delay = 4 * 3600 * chance.random() if chance.random() < 0.05 else 0
            sent.append((at + delay, told))
            if chance.random() < 0.1:
                sent.append(
                    (at + 30 + chance.random(), told | {"sg_event_id": f"again-{len(sent)}"})
                )
    sent.sort(key=lambda one: one[0])
    for start in range(0, len(sent), EVENTS_A_POST):
        yield [told for _, told in sent[start : start + EVENTS_A_POST]]


def _ids() -> dict[int, str]:
    """Return each email's ID by its number.

    Platforms know the IDs from the imported emails' users.
    """
    rows = mongoengine.get_db()
    users = {
        row["_id"]: int(row["email"][1:].split("@")[0]) for row in rows.users.find({}, {"email": 1})
    }
    found = rows.emails.find({}, {"user_id": 1})
    return {users[row["user_id"]]: str(row["_id"]) for row in found}


def _await_settled(place: University, fundraiser: str) -> None:
    def settled() -> bool:
        time.sleep(0.2)
        return not any(count_due(name, limit=1) for name in ("emails", "deliveries"))

    wait_until(settled, "everything counted", SETTLE_TIMEOUT_SECONDS)
    assert not any(place.report(fundraiser)["unsettled"].values())


def _memory(stack: Stack) -> dict[str, float]:
    """Return the resident size of the largest process of each part, in MB."""
    sizes = {}
    for name in ("web", "worker"):
        parent = psutil.Process(stack.pid(name))
        family = [parent, *parent.children(recursive=True)]
        sizes[name] = max(one.memory_info().rss for one in family) / MEBIBYTE
    return sizes


def _note_memory(stack: Stack, result: MailingDayResult) -> None:
    for name, size in _memory(stack).items():
        result.megabytes[name][1] = max(result.megabytes[name][1], size)


def _compare(place: University, fundraiser: str, mailing: str, result: MailingDayResult) -> None:
    wanted = count_expected(result.emails)
    for path in (f"fundraisers/{fundraiser}", f"mailings/{mailing}"):
        report = place.get(f"/v1/{path}/report")
        if report["emails"] != wanted:
            result.differences.append(f"{path}: {report['emails']}, not {wanted}")
        if report["unmatched_events"]["in_organization"]:
            result.differences.append(f"{path}: {report['unmatched_events']}")
        if report["machines"]["clicks"] != sum(n % 10 == 2 for n in range(result.emails)):
            result.differences.append(f"{path}: {report['machines']}")
    links = place.get(f"/v1/mailings/{mailing}/links")["data"]
    if [link["emails"] for link in links] != [wanted["clicked"]]:
        result.differences.append(f"links: {links}")
    result.differences += [str(drift) for drift in recount.find_drifts()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--emails", type=int, default=100_000)
    with tempfile.TemporaryDirectory(prefix="mailing-day") as folder:
        result = run_mailing_day(Path(folder), options.parse_args().emails)
    print("\n".join(result.lines()))  # noqa: T201
    sys.exit(1 if result.differences else 0)


if __name__ == "__main__":
    main()
