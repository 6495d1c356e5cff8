"""Huey's queues of wake-ups: one for settling, one for the warehouse export.

Queues hold no data that matters. A message names an ID to look at. Losing or repeating it changes
nothing, because MongoDB marks what is due (see ARCHITECTURE.md). So any queue works, and
MATCHBACK_QUEUE_URL selects it (see docs/queues.md).
"""

import sqlite3
from typing import Any

import orjson
from redis.exceptions import RedisError

from config.observability import context
from config.optional_imports import hidden
from config.queues import address
from config.queues.redis_pool import pool
from config.settings import settings

# Huey imports PostgreSQL's driver if it is installed, which takes 9 MB per process without use.
with hidden("psycopg"):
    from huey import Huey
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import RedisStorage

QUEUE = "matchback"
POLL_SECONDS = 1  # maximum wait of the consumer's blocking read
# Errors of an unavailable queue. The error of SQS is an OSError.
AWAY = (RedisError, OSError, sqlite3.Error)


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


def storage(url: str) -> dict[str, Any]:
    """Return Huey's storage options. Import only the client of the selected queue."""
    match address.scheme(url):
        case "sqlite":
            from config.queues.sqlite import SqliteQueue

            return {"storage_class": SqliteQueue, "filename": str(address.sqlite_path(url))}
        case "sqs":
            from config.queues.sqs import SqsQueue

            return {"storage_class": SqsQueue, "at": address.sqs(url)}
    return {
        "storage_class": RedisStorage,
        "connection_pool": pool(url),
        "read_timeout": POLL_SECONDS,
    }


def queue(name: str) -> Huey:
    """Return a queue of wake-ups."""
    made = Huey(
        name,
        results=False,  # no code waits for the result of a wake-up
        serializer=JSONSerializer(),
        **storage(settings().wakeups_url),
    )
    context.follow(made)
    return made


huey = queue(QUEUE)
# The warehouse has its own queue, so that an unavailable or slow warehouse blocks no settling
# thread.
warehouse_huey = queue(f"{QUEUE}-warehouse")
