"""Data and work of the naive design: plain PyMongo, one `$inc` after another, default settings.

It has no API keys, checks, detection of repetitions, people, time buckets or history. It counts
only what the comparison reads, so it has an advantage.
"""

import os
from functools import cache
from typing import Any

from bson import ObjectId
from pymongo import DESCENDING
from pymongo.database import Database

from config.database import DatabaseClient
from tools.bench.workload import Workload, build_id, build_user_address

ROWS_A_COMMAND = 10_000
COUNTER_FIELDS = {"open": "opens", "click": "clicks"}


@cache
def open_database() -> Database[dict[str, Any]]:
    """Return the database. Each process has one client."""
    mongo = DatabaseClient(os.environ["BENCH_MONGODB_URI"])
    return mongo.get_default_database()


def use_servers(environment: dict[str, str]) -> None:
    """Connect this process to the servers in this environment."""
    close_client()
    os.environ.update(environment)


def close_client() -> None:
    """Close the client, if there is one."""
    if open_database.cache_info().currsize:
        open_database().client.close()
    open_database.cache_clear()


def store_naive_workload(workload: Workload) -> None:
    """Replace all stored records by the workload's users, fundraisers, mailings and emails."""
    for name in ("users", "fundraisers", "mailings", "emails", "donations"):
        open_database().drop_collection(name)
    places = range(workload.fundraisers)
    for name in ("fundraisers", "mailings"):
        open_database()[name].insert_many(
            [{"_id": ObjectId(build_id(name[:-1], n))} for n in places]
        )
    open_database().users.create_index("email")
    open_database().emails.create_index([("user_id", 1), ("fundraiser_id", 1), ("_id", DESCENDING)])
    users = ({"_id": _id("user", n), "email": build_user_address(n)} for n in range(workload.users))
    open_database().users.insert_many(users, ordered=False)
    open_database().emails.insert_many(
        (
            {
                "_id": _id("email", number),
                "user_id": _id("user", workload.user_of(number)),
                "fundraiser_id": _id("fundraiser", workload.fundraiser_of(number)),
                "mailing_id": _id("mailing", workload.fundraiser_of(number)),
            }
            for number in range(workload.emails)
        ),
        ordered=False,
    )


def _id(kind: str, number: int) -> ObjectId:
    return ObjectId(build_id(kind, number))


def save_donation(gift: dict[str, Any]) -> str:
    """Store a gift, and return its ID."""
    return str(open_database().donations.insert_one(gift).inserted_id)


def count_donation(id_: str) -> None:
    """Find the email of a stored gift, and increment its counters."""
    gift = open_database().donations.find_one({"_id": ObjectId(id_)})
    assert gift
    fundraiser_id = ObjectId(gift["fundraiser_id"])
    increments = {"$inc": {"donations_count": 1, "raised": gift["amount"]}}
    if email := _email_of(gift, fundraiser_id):
        open_database().emails.update_one(
            {"_id": email["_id"]}, {**increments, "$set": {"donated": True}}
        )
        open_database().mailings.update_one({"_id": email["mailing_id"]}, increments)
        open_database().donations.update_one(
            {"_id": gift["_id"]}, {"$set": {"matched": email["_id"]}}
        )
    open_database().fundraisers.update_one({"_id": fundraiser_id}, increments)


def _email_of(gift: dict[str, Any], fundraiser_id: ObjectId) -> dict[str, Any] | None:
    named = gift["email_id"]
    if ObjectId.is_valid(named):
        return open_database().emails.find_one({"_id": ObjectId(named)})
    user = open_database().users.find_one({"email": gift["donor"]["email"]})
    if not user:
        return None
    to = {"user_id": user["_id"], "fundraiser_id": fundraiser_id}
    return open_database().emails.find_one(to, sort=[("_id", DESCENDING)])


def count_event(event: dict[str, Any]) -> None:
    """Increment the counters of an event's email, fundraiser and mailing."""
    increments = {"$inc": {COUNTER_FIELDS[event["event"]]: 1}}
    email = open_database().emails.find_one_and_update(
        {"_id": ObjectId(event["email_id"])}, increments
    )
    if email:
        open_database().mailings.update_one({"_id": email["mailing_id"]}, increments)
        open_database().fundraisers.update_one({"_id": email["fundraiser_id"]}, increments)


def read_totals() -> dict[str, int]:
    """Return the sums of all fundraisers' counters."""
    sums = {
        name: {"$sum": f"${name}"}
        for name in ("donations_count", "raised", *COUNTER_FIELDS.values())
    }
    found = list(open_database().fundraisers.aggregate([{"$group": {"_id": None, **sums}}]))
    return {name: found[0][name] for name in sums}
