"""The connection to MongoDB, and the checks of the server behind it."""

from typing import Any

import mongoengine
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from config.settings import Settings, settings

# A worker killed inside a transaction holds its documents until the server gives up on it:
# 78 s at the server's default of 60, about 4 s at 3.
LONGEST_TRANSACTION_SECONDS = 10
MILLISECOND = 1000
JOB_TIMEOUTS = 4

Client = MongoClient[dict[str, Any]]


class DeploymentError(Exception):
    """This MongoDB cannot keep the promise. The message says what to do."""


def connect(config: Settings | None = None, **options: Any) -> Client:
    """Connect MongoEngine's default alias; lazily, so a server that is away does not raise here.

    Writes are acknowledged by a majority: with w:1 a killed primary lost 72 to 369 acknowledged
    writes in measurements, with majority none. Reads are of what a majority has, too: what one has
    answered («that gift exists already») must not be rolled back afterwards.
    """
    config = config or settings()
    timeout = int(config.database_timeout_seconds * MILLISECOND)
    connected: Client = mongoengine.connect(
        host=config.mongodb_uri,
        **{
            "db": "matchback",  # used when the URI names no database
            "tz_aware": True,
            "uuidRepresentation": "standard",
            "w": "majority",
            "readConcernLevel": "majority",
            "retryWrites": True,
            "serverSelectionTimeoutMS": timeout,
            "connectTimeoutMS": timeout,
            "socketTimeoutMS": JOB_TIMEOUTS * timeout,
            "appname": "matchback",
            **options,
        },
    )
    return connected


def connect_web(**options: Any) -> Client:
    """Connect for requests: a donor waits no longer than the setting says, whatever hangs.

    With a deadline, PyMongo also gives each command a `maxTimeMS`, so that the server gives up too.
    """
    return connect(timeoutMS=int(settings().database_timeout_seconds * MILLISECOND), **options)


def connect_worker(**options: Any) -> Client:
    """Connect for jobs, whose batches may take longer than a request."""
    return connect(
        timeoutMS=int(JOB_TIMEOUTS * settings().database_timeout_seconds * MILLISECOND), **options
    )


def client() -> Client:
    """The connected client."""
    connected: Client = mongoengine.get_connection()
    return connected


def catch_up() -> None:
    """Wait until what the primary has is a majority's, so that the next read sees it.

    A unique index refuses what another client is just writing and no majority has yet: a majority
    read straight after would say that there is no such thing.

    Raises:
        PyMongoError: the majority is unavailable.
    """
    mongo = client()
    # The ping tells the session how far the primary is; the read waits for that point. Source:
    # MongoDB's «Causal Consistency Specification».
    with mongo.start_session(causal_consistency=True) as session:
        mongo.admin.command("ping", session=session)
        wait = int(settings().database_timeout_seconds * MILLISECOND)
        mongoengine.get_db().organizations.find_one(
            {"_id": None}, {"_id": 1}, session=session, max_time_ms=wait
        )


def check_deployment(mongo: Client) -> list[str]:
    """Refuse a server without transactions; return warnings about one that can be bettered.

    Raises:
        DeploymentError: a standalone server.
        PyMongoError: no server answers.
    """
    hello = mongo.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise DeploymentError(
            "This MongoDB is a standalone server, and Matchback needs transactions: start mongod "
            "with --replSet rs0, run rs.initiate() once in mongosh, and add ?replicaSet=rs0 to "
            "MATCHBACK_MONGODB_URI."
        )
    return _slow_transactions(mongo)


def _slow_transactions(mongo: Client) -> list[str]:
    name = "transactionLifetimeLimitSeconds"
    try:
        limit = mongo.admin.command({"getParameter": 1, name: 1})[name]
    except (OperationFailure, KeyError):
        return []  # not ours to see: a managed service, or mongos
    if limit <= LONGEST_TRANSACTION_SECONDS:
        return []
    return [
        f"MongoDB's {name} is {limit}. A worker killed in the middle would block its hot "
        f"documents for that long: set it to 3 (at most {LONGEST_TRANSACTION_SECONDS})."
    ]
