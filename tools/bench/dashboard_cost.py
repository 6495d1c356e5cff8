"""Measure the time and the size of each page of the dashboard at 100,000 recipients.

After a mailing day (tools/bench/mailing_day.py) and some hundred gifts, one connection loads every
page many times. The times cover request and response on loopback, without a browser.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from bson import ObjectId
from mongoengine import get_db

from documents.access.api_key import ApiKey
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from service.dashboard.cookies import SESSION_COOKIE
from service.dashboard.render import ASSETS_FOLDER
from tools.bench import mailing_day
from tools.testbed.cast import University
from tools.testbed.stack import NO_RATE_LIMITS, Stack, run_stack, wait_until

GIFT_COUNT = 300
LOADS_A_PAGE = 40
MAX_PAGE_MILLISECONDS, MAX_PAGE_BYTES = 50, 100_000


@dataclass(frozen=True)
class PageLoad:
    """Load times of one page in milliseconds, and its size in bytes."""

    name: str
    median: float
    slowest: float
    weight: int


def load_pages(
    stack: Stack, emails: int, gifts: int = GIFT_COUNT, rounds: int = LOADS_A_PAGE
) -> list[PageLoad]:
    """Fill a running service, and load its pages."""
    mailing_day.send_mailing(stack, emails)
    fundraiser = get_db().fundraisers.find_one()
    place = _place(stack, fundraiser["organization_id"])
    _give(place, str(fundraiser["_id"]), gifts)
    staff = Staff.add(fundraiser["organization_id"], "Alice", "alice@example.edu", "admin")
    return [_load(stack.url, staff, name, path, rounds) for name, path in _paths(emails).items()]


def _place(stack: Stack, organization_id: ObjectId) -> University:
    _, secret = ApiKey.issue(organization_id, "cost", ["admin"])
    return University(str(organization_id), secret, stack.api())


def _give(place: University, fundraiser: str, gifts: int) -> None:
    emails = get_db().emails.find({}, {"user_id": 1}).limit(gifts)
    users = {row["_id"]: row for row in get_db().users.find({}, {"name": 1, "email": 1})}
    for number, email in enumerate(emails):
        user = users[email["user_id"]]
        named = {"email_id": str(email["_id"])} if number % 5 else {}
        donor = {"name": user["name"], "email": user["email"] if named else "x@example.org"}
        place.gift(fundraiser, 2500 + number, donor, **named)
    wait_until(lambda: place.report(fundraiser)["donations"]["count"] == gifts, "gifts counted")


def _paths(emails: int) -> dict[str, str]:
    """Return the path of each page, and for each list the most expensive variant."""
    db = get_db()
    fundraiser, mailing = db.fundraisers.find_one()["_id"], db.mailings.find_one()["_id"]
    gift = db.donations.find_one({"match": "link"})
    at = f"/dashboard/mailings/{mailing}"
    return {
        "overview": "/dashboard",
        "fundraiser": f"/dashboard/fundraisers/{fundraiser}",
        "mailing": at,
        "mailing: clicked": f"{at}?did=clicked",
        "mailing: bounced": f"{at}?did=bounced",
        "mailing: left": f"{at}?did=left",
        "mailing: a name": f"{at}?q={emails - 7}",
        "mailing: a word of all": f"{at}?q=person",
        "mailing: an address": f"{at}?q=p{emails // 2}@example.edu",
        "mailing: no match": f"{at}?q=zebra",
        "person": f"/dashboard/people/{gift['user_id']}",
        "gifts": "/dashboard/gifts",
        "all gifts": "/dashboard/gifts?match=all",
        "gift": f"/dashboard/gifts/{gift['_id']}",
        "health": "/dashboard/health",
        "settings": "/dashboard/settings",
        "account": "/dashboard/account",
        "funnel as CSV": f"{at}/funnel.csv",
    }


def _load(url: str, staff: Staff, name: str, path: str, rounds: int) -> PageLoad:
    took, weight = [], 0
    cookies = {SESSION_COOKIE: StaffSession.begin(staff)}  # because sessions are rate-limited
    with httpx.Client(base_url=url, cookies=cookies, timeout=30) as browser:
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = browser.get(path)
            took.append((time.perf_counter() - begun) * 1000)
            assert answer.status_code == 200, (path, answer.status_code)
            weight = len(answer.content)
    return PageLoad(name, statistics.median(took), max(took), weight)


def main() -> int:
    """Return 1 if a page exceeds its limit of time or of size, assets included."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--emails", type=int, default=100_000)
    emails = options.parse_args().emails
    with (
        tempfile.TemporaryDirectory() as folder,
        run_stack(Path(folder), NO_RATE_LIMITS) as stack,
    ):
        loads = load_pages(stack, emails)
    assets = sum(file.stat().st_size for file in Path(str(ASSETS_FOLDER)).iterdir())
    sizes = f"{emails} recipients, {GIFT_COUNT} gifts, {LOADS_A_PAGE} loads each"
    print(f"{sizes}; assets {assets} bytes")  # noqa: T201
    for load in loads:
        print(  # noqa: T201
            f"{load.name:>26}: {load.median:6.1f} ms (median) {load.slowest:6.1f} ms (slowest) "
            f"{load.weight:7d} bytes"
        )
    is_slow = max(load.median for load in loads) > MAX_PAGE_MILLISECONDS
    is_heavy = max(load.weight for load in loads) + assets > MAX_PAGE_BYTES
    return int(is_slow or is_heavy)


if __name__ == "__main__":
    sys.exit(main())
