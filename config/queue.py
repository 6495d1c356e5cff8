"""Huey's queues of wake-ups: one for settling, one for the warehouse export.

Queues keep no truth. A message says "look at this ID". Losing or repeating it changes nothing,
because MongoDB marks what is due (see ARCHITECTURE.md). So any queue will do: MATCHBACK_QUEUE_URL
selects it (see docs/how-to/queues.md).
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

# Huey loads PostgreSQL's driver if it is there: 9 MB of each process, for a queue that is not ours.
with hidden("psycopg"):
    from huey import Huey
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import RedisStorage

QUEUE = "matchback"
POLL_SECONDS = 1  # how long the consumer's blocking read waits for a message
# What a queue raises while it is away; SQS's is an OSError, too.
AWAY = (RedisError, OSError, sqlite3.Error)


class JSONSerializer(Serializer):
    """Messages as JSON. Huey's default is pickle: one LPUSH into Redis would run code here."""

    def _serialize(self, data: Any) -> bytes:
        fields = data._asdict() if isinstance(data, Message) else {"data": data}
        return orjson.dumps({name: value for name, value in fields.items() if value is not None})

    def _deserialize(self, data: bytes) -> Any:
        fields = orjson.loads(data)
        if "data" in fields:
            return fields["data"]
        return Message(**{**fields, "args": tuple(fields["args"])})


def storage(url: str) -> dict[str, Any]:
    """Where messages are kept, as Huey takes it. What another place needs is not loaded."""
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
    """A queue of wake-ups."""
    made = Huey(
        name,
        results=False,  # nobody waits for a wake-up
        serializer=JSONSerializer(),
        **storage(settings().wakeups_url),
    )
    context.follow(made)
    return made


huey = queue(QUEUE)
# The warehouse's own: one that is away, or far behind, must hold up no thread that settles.
warehouse_huey = queue(f"{QUEUE}-warehouse")
