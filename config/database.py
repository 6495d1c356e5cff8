"""The connection to MongoDB, and the checks of the server behind it."""

from typing import Any

import mongoengine
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from config.settings import Settings, get_settings

# A worker killed inside a transaction holds its documents until the server gives up on it:
# 78 s at the server's default of 60, about 4 s at 3.
MAX_TRANSACTION_LIFETIME_SECONDS = 10
MILLISECONDS_PER_SECOND = 1000
JOB_TIMEOUT_FACTOR = 4

DatabaseClient = MongoClient[dict[str, Any]]


class DeploymentError(Exception):
    """This MongoDB cannot keep the promise. The message says what to do."""


def connect_database(config: Settings | None = None, **options: Any) -> DatabaseClient:
    """Connect MongoEngine's default alias; lazily, so a server that is away does not raise here.

    Writes are acknowledged by a majority: with w:1 a killed primary lost 72 to 369 acknowledged
    writes in measurements, with majority none. Reads are of what a majority has, too: what one has
    answered («that gift exists already») must not be rolled back afterwards.
    """
    config = config or get_settings()
    timeout = int(config.database_timeout_seconds * MILLISECONDS_PER_SECOND)
    connected: DatabaseClient = mongoengine.connect(
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
            "socketTimeoutMS": JOB_TIMEOUT_FACTOR * timeout,
            "appname": "matchback",
            **options,
        },
    )
    return connected


def connect_web(**options: Any) -> DatabaseClient:
    """Connect for requests: a donor waits no longer than the setting says, whatever hangs.

    With a deadline, PyMongo also gives each command a `maxTimeMS`, so that the server gives up too.
    """
    return connect_database(
        timeoutMS=int(get_settings().database_timeout_seconds * MILLISECONDS_PER_SECOND), **options
    )


def connect_worker(**options: Any) -> DatabaseClient:
    """Connect for jobs, whose batches may take longer than a request."""
    return connect_database(
        timeoutMS=int(
            JOB_TIMEOUT_FACTOR * get_settings().database_timeout_seconds * MILLISECONDS_PER_SECOND
        ),
        **options,
    )


def get_client() -> DatabaseClient:
    """The connected client."""
    connected: DatabaseClient = mongoengine.get_connection()
    return connected


def await_majority() -> None:
    """Wait until what the primary has is a majority's, so that the next read sees it.

    A unique index refuses what another client is just writing and no majority has yet: a majority
    read straight after would say that there is no such thing.

    Raises:
        PyMongoError: the majority is unavailable.
    """
    mongo = get_client()
    # The ping tells the session how far the primary is; the read waits for that point. Source:
    # MongoDB's «Causal Consistency Specification».
    with mongo.start_session(causal_consistency=True) as session:
        mongo.admin.command("ping", session=session)
        wait = int(get_settings().database_timeout_seconds * MILLISECONDS_PER_SECOND)
        mongoengine.get_db().organizations.find_one(
            {"_id": None}, {"_id": 1}, session=session, max_time_ms=wait
        )


def check_deployment(mongo: DatabaseClient) -> list[str]:
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


def _slow_transactions(mongo: DatabaseClient) -> list[str]:
    name = "transactionLifetimeLimitSeconds"
    try:
        limit = mongo.admin.command({"getParameter": 1, name: 1})[name]
    except (OperationFailure, KeyError):
        return []  # not ours to see: a managed service, or mongos
    if limit <= MAX_TRANSACTION_LIFETIME_SECONDS:
        return []
    return [
        f"MongoDB's {name} is {limit}. A worker killed in the middle would block its hot "
        f"documents for that long: set it to 3 (at most {MAX_TRANSACTION_LIFETIME_SECONDS})."
    ]
