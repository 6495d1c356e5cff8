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
from config.optional_imports import hide_module
from config.queues import address
from config.queues.redis_pool import make_pool
from config.settings import get_settings

# Huey loads PostgreSQL's driver if it is there: 9 MB of each process, for a queue that is not ours.
with hide_module("psycopg"):
    from huey import Huey
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import RedisStorage

QUEUE_NAME = "matchback"
QUEUE_POLL_SECONDS = 1  # how long the consumer's blocking read waits for a message
# What a queue raises while it is away; SQS's is an OSError, too.
QUEUE_ERRORS = (RedisError, OSError, sqlite3.Error)


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


def build_storage_options(url: str) -> dict[str, Any]:
    """Where messages are kept, as Huey takes it. What another place needs is not loaded."""
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
    """A queue of wake-ups."""
    made = Huey(
        name,
        results=False,  # nobody waits for a wake-up
        serializer=JSONSerializer(),
        **build_storage_options(get_settings().wakeups_url),
    )
    context.propagate_origins(made)
    return made


huey = make_queue(QUEUE_NAME)
# The warehouse's own: one that is away, or far behind, must hold up no thread that settles.
warehouse_huey = make_queue(f"{QUEUE_NAME}-warehouse")
