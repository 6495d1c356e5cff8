"""Checks of URLs in settings, at the start and without a network."""

from redis.exceptions import RedisError

from config.queues import address
from config.queues.redis_pool import pool


def refuse_unless_queue(url: str) -> None:
    """Read the URL of a queue of any kind.

    Raises:
        Refused: it cannot be one. The sentence says nothing of what is in it.
    """
    match address.scheme(url):
        case "sqlite":
            address.sqlite_path(url)
        case "sqs":
            address.sqs(url)
        case _:
            refuse_unless_redis(url)


def refuse_unless_redis(url: str) -> None:
    """Read the URL of a Redis, alone or behind Sentinel.

    Raises:
        Refused: it cannot be one. The sentence says nothing of what is in it.
    """
    if not any(url.startswith(f"{kind}://") for kind in address.REDIS):
        raise address.Refused(f"it must begin with one of {', '.join(address.REDIS)}, and ://")
    if address.scheme(url) in address.SENTINEL:
        address.sentinels(url)  # for its own sentence
    try:
        # Of an option that is none, the client would complain at each connection.
        pool(url).make_connection()
    except (ValueError, TypeError, RedisError):
        raise address.Refused("the Redis client cannot read it") from None
