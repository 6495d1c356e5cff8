"""The data and work of the naive form: plain PyMongo, one `$inc` after the other, default settings.

It omits API keys, checks, detection of repetitions, people, time buckets and history. It counts
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
    """One client a process."""
    mongo = DatabaseClient(os.environ["BENCH_MONGODB_URI"])
    return mongo.get_default_database()


def use_servers(environment: dict[str, str]) -> None:
    """From now on, in this process, the servers that this environment tells of."""
    close_client()
    os.environ.update(environment)


def close_client() -> None:
    """Close the client, if there is one."""
    if open_database.cache_info().currsize:
        open_database().client.close()
    open_database.cache_clear()


def store_naive_workload(workload: Workload) -> None:
    """Users, fundraisers, mailings and emails, in place of what is there."""
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
    """Store a gift. Returns its id."""
    return str(open_database().donations.insert_one(gift).inserted_id)


def count_donation(id_: str) -> None:
    """The callback of a gift that was stored: find its email, and increment."""
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
    """The job of one event: increment its email, and what that is of."""
    increments = {"$inc": {COUNTER_FIELDS[event["event"]]: 1}}
    email = open_database().emails.find_one_and_update(
        {"_id": ObjectId(event["email_id"])}, increments
    )
    if email:
        open_database().mailings.update_one({"_id": email["mailing_id"]}, increments)
        open_database().fundraisers.update_one({"_id": email["fundraiser_id"]}, increments)


def read_totals() -> dict[str, int]:
    """What the fundraisers count, all together."""
    sums = {
        name: {"$sum": f"${name}"}
        for name in ("donations_count", "raised", *COUNTER_FIELDS.values())
    }
    found = list(open_database().fundraisers.aggregate([{"$group": {"_id": None, **sums}}]))
    return {name: found[0][name] for name in sums}
