"""The connection to MongoDB, and the checks of the server."""

from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any

from config.optional_imports import hide_module

# For OCSP, PyMongo imports all of X.509, even if another package for OCSP is missing.
with nullcontext() if find_spec("service_identity") else hide_module("pymongo.pyopenssl_context"):
    import mongoengine
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from config.settings import Settings, get_settings

# A worker killed inside a transaction holds its documents until the server aborts the transaction.
# That takes 78 s with the server's default of 60, and about 4 s with 3.
MAX_TRANSACTION_LIFETIME_SECONDS = 10
MILLISECONDS_PER_SECOND = 1000
JOB_TIMEOUT_FACTOR = 4

DatabaseClient = MongoClient[dict[str, Any]]


class DeploymentError(Exception):
    """This MongoDB deployment does not support transactions. The message explains what to do."""


def connect_database(config: Settings | None = None, **options: Any) -> DatabaseClient:
    """Connect MongoEngine's default alias lazily, so that an outage does not raise here.

    A majority acknowledges writes: with w:1, a killed primary lost 72 to 369 acknowledged writes in
    measurements; with majority, none. Reads have majority concern, too, because the service must
    not return data that is rolled back later.
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
    """Connect for requests, which wait at most `database_timeout_seconds`.

    With a deadline, PyMongo also sends `maxTimeMS`, so that the server stops the operation, too.
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
    """Return the connected client."""
    connected: DatabaseClient = mongoengine.get_connection()
    return connected


def await_majority() -> None:
    """Wait until a majority has the primary's data, so that the next read sees it.

    A unique index rejects a value that another client is still writing. A majority read directly
    afterwards would not find that value.

    Raises:
        PyMongoError: the majority is unavailable.
    """
    mongo = get_client()
    # The ping gives the session the primary's current position, and the read waits for it. Source:
    # MongoDB's “Causal Consistency Specification”.
    with mongo.start_session(causal_consistency=True) as session:
        mongo.admin.command("ping", session=session)
        wait = int(get_settings().database_timeout_seconds * MILLISECONDS_PER_SECOND)
        mongoengine.get_db().organizations.find_one(
            {"_id": None}, {"_id": 1}, session=session, max_time_ms=wait
        )


def check_deployment(mongo: DatabaseClient) -> list[str]:
    """Return warnings about the server. Reject a server without transactions.

    Raises:
        DeploymentError: the server is a standalone server.
        PyMongoError: no server responds.
    """
    hello = mongo.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise DeploymentError(
            "MongoDB is a standalone server, but Matchback needs transactions. Start mongod with "
            "--replSet rs0, run rs.initiate() once in mongosh, and add ?replicaSet=rs0 to "
            "MATCHBACK_MONGODB_URI."
        )
    return _slow_transactions(mongo)


def _slow_transactions(mongo: DatabaseClient) -> list[str]:
    name = "transactionLifetimeLimitSeconds"
    try:
        limit = mongo.admin.command({"getParameter": 1, name: 1})[name]
    except (OperationFailure, KeyError):
        return []  # a managed service or mongos does not show it
    if limit <= MAX_TRANSACTION_LIFETIME_SECONDS:
        return []
    return [
        f"MongoDB's {name} is {limit}. A killed worker would block its documents for that long. "
        f"Set it to 3 (at most {MAX_TRANSACTION_LIFETIME_SECONDS})."
    ]
