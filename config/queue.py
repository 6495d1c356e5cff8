"""Huey's queues of wake-ups: one for settling, one for the warehouse export.

Queues hold no data that matters. A message names an ID to look at. Losing or repeating it changes
nothing, because MongoDB marks what is due (see ARCHITECTURE.md). So any queue works, and
MATCHBACK_QUEUE_URL selects it (see docs/how-to/queues.md).
"""

import sqlite3
from typing import Any

import orjson
from redis.exceptions import RedisError

from config.observability import context
from config.optional_imports import hide_module
from config.queues import address
from config.queues.redis_pool import make_pool
from config.settings import get_settings

# Huey imports PostgreSQL's driver if it is installed, which takes 9 MB per process without use.
with hide_module("psycopg"):
    from huey import Huey
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import RedisStorage

QUEUE_NAME = "matchback"
QUEUE_POLL_SECONDS = 1  # maximum wait of the consumer's blocking read
# Errors of an unavailable queue. The error of SQS is an OSError.
QUEUE_ERRORS = (RedisError, OSError, sqlite3.Error)


class JSONSerializer(Serializer):
    """Messages as JSON.

    With pickle, Huey's default, anyone who can write to Redis could run code.
    """

    def _serialize(self, data: Any) -> bytes:
        fields = data._asdict() if isinstance(data, Message) else {"data": data}
        return orjson.dumps({name: value for name, value in fields.items() if value is not None})

    def _deserialize(self, data: bytes) -> Any:
        fields = orjson.loads(data)
        if "data" in fields:
            return fields["data"]
        return Message(**{**fields, "args": tuple(fields["args"])})


def build_storage_options(url: str) -> dict[str, Any]:
    """Return Huey's storage options. Import only the client of the selected queue."""
    match address.read_scheme(url):
        case "sqlite":
            from config.queues.sqlite import SqliteQueue

            return {"storage_class": SqliteQueue, "filename": str(address.read_sqlite_path(url))}
        case "sqs":
            from config.queues.sqs import SqsQueue

            return {"storage_class": SqsQueue, "at": address.read_sqs_address(url)}
    return {
        "storage_class": RedisStorage,
        "connection_pool": make_pool(url),
        "read_timeout": QUEUE_POLL_SECONDS,
    }


def make_queue(name: str) -> Huey:
    """Return a queue of wake-ups."""
    made = Huey(
        name,
        results=False,  # no code waits for the result of a wake-up
        serializer=JSONSerializer(),
        **build_storage_options(get_settings().wakeups_url),
    )
    context.propagate_origins(made)
    return made


huey = make_queue(QUEUE_NAME)
# The warehouse has its own queue, so that an unavailable or slow warehouse blocks no settling
# thread.
warehouse_huey = make_queue(f"{QUEUE_NAME}-warehouse")
