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

from config.database import Client
from tools.bench.workload import Workload, address, id_of

ROWS_A_COMMAND = 10_000
FIELDS = {"open": "opens", "click": "clicks"}


@cache
def database() -> Database[dict[str, Any]]:
    """Return the database. Each process has one client."""
    mongo = Client(os.environ["BENCH_MONGODB_URI"])
    return mongo.get_default_database()


def use(environment: dict[str, str]) -> None:
    """Connect this process to the servers in this environment."""
    close()
    os.environ.update(environment)


def close() -> None:
    """Close the client, if there is one."""
    if database.cache_info().currsize:
        database().client.close()
    database.cache_clear()


def store(workload: Workload) -> None:
    """Replace all stored records by the workload's users, fundraisers, mailings and emails."""
    for name in ("users", "fundraisers", "mailings", "emails", "donations"):
        database().drop_collection(name)
    places = range(workload.fundraisers)
    for name in ("fundraisers", "mailings"):
        database()[name].insert_many([{"_id": ObjectId(id_of(name[:-1], n))} for n in places])
    database().users.create_index("email")
    database().emails.create_index([("user_id", 1), ("fundraiser_id", 1), ("_id", DESCENDING)])
    users = ({"_id": _id("user", n), "email": address(n)} for n in range(workload.users))
    database().users.insert_many(users, ordered=False)
    database().emails.insert_many(
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
    return ObjectId(id_of(kind, number))


def save_donation(gift: dict[str, Any]) -> str:
    """Store a gift, and return its ID."""
    return str(database().donations.insert_one(gift).inserted_id)


def donation_saved(id_: str) -> None:
    """Find the email of a stored gift, and increment its counters."""
    gift = database().donations.find_one({"_id": ObjectId(id_)})
    assert gift
    fundraiser_id = ObjectId(gift["fundraiser_id"])
    increments = {"$inc": {"donations_count": 1, "raised": gift["amount"]}}
    if email := _email_of(gift, fundraiser_id):
        database().emails.update_one(
            {"_id": email["_id"]}, {**increments, "$set": {"donated": True}}
        )
        database().mailings.update_one({"_id": email["mailing_id"]}, increments)
        database().donations.update_one({"_id": gift["_id"]}, {"$set": {"matched": email["_id"]}})
    database().fundraisers.update_one({"_id": fundraiser_id}, increments)


def _email_of(gift: dict[str, Any], fundraiser_id: ObjectId) -> dict[str, Any] | None:
    named = gift["email_id"]
    if ObjectId.is_valid(named):
        return database().emails.find_one({"_id": ObjectId(named)})
    user = database().users.find_one({"email": gift["donor"]["email"]})
    if not user:
        return None
    to = {"user_id": user["_id"], "fundraiser_id": fundraiser_id}
    return database().emails.find_one(to, sort=[("_id", DESCENDING)])


def event_received(event: dict[str, Any]) -> None:
    """Increment the counters of an event's email, fundraiser and mailing."""
    increments = {"$inc": {FIELDS[event["event"]]: 1}}
    email = database().emails.find_one_and_update({"_id": ObjectId(event["email_id"])}, increments)
    if email:
        database().mailings.update_one({"_id": email["mailing_id"]}, increments)
        database().fundraisers.update_one({"_id": email["fundraiser_id"]}, increments)


def totals() -> dict[str, int]:
    """Return the sums of all fundraisers' counters."""
    sums = {name: {"$sum": f"${name}"} for name in ("donations_count", "raised", *FIELDS.values())}
    found = list(database().fundraisers.aggregate([{"$group": {"_id": None, **sums}}]))
    return {name: found[0][name] for name in sums}
