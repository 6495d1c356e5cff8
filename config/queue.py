"""Huey's queues of wake-ups on Redis: one of what is to be settled, one of what is to be exported.

Nothing is remembered here. A message says «look at this id»; losing one, or having it twice,
changes nothing, because what is due is marked in MongoDB (see ARCHITECTURE.md).
"""

from typing import Any

import orjson
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.hidden import hidden
from config.settings import settings

# Huey loads PostgreSQL's driver if it is there: 9 MB of each process, for a queue that is not ours.
with hidden("psycopg"):
    from huey import Huey
    from huey.registry import Message
    from huey.serializer import Serializer
    from huey.storage import RedisStorage

QUEUE = "matchback"
POLL_SECONDS = 1  # how long the consumer's blocking read waits for a message
# Must stay above POLL_SECONDS, or an idle consumer takes silence for a failure. No request waits
# for it: jobs/outbox.py enqueues from a thread of its own.
REDIS_TIMEOUT_SECONDS = 3


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


def pool() -> ConnectionPool:
    """Connections to Redis that give up after three seconds."""
    return ConnectionPool.from_url(
        settings().redis_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # the sweep is the retry
    )


def queue(name: str) -> Huey:
    """A queue of wake-ups."""
    return Huey(
        name,
        storage_class=RedisStorage,
        results=False,  # nobody waits for a wake-up
        serializer=JSONSerializer(),
        connection_pool=pool(),
        read_timeout=POLL_SECONDS,
    )


huey = queue(QUEUE)
# The warehouse's own: one that is away, or far behind, must hold up no thread that settles.
warehouse_huey = queue(f"{QUEUE}-warehouse")
