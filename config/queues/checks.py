"""Checks of URLs in settings, at the start and without network access."""

from redis.exceptions import RedisError

from config.queues import address
from config.queues.redis_pool import pool


def refuse_unless_queue(url: str) -> None:
    """Check the URL of a queue of any kind.

    Raises:
        Refused: the URL is not valid. The message does not repeat it.
    """
    match address.scheme(url):
        case "sqlite":
            address.sqlite_path(url)
        case "sqs":
            address.sqs(url)
        case _:
            refuse_unless_redis(url)


def refuse_unless_redis(url: str) -> None:
    """Check the URL of a Redis server, with or without Sentinel.

    Raises:
        Refused: the URL is not valid. The message does not repeat it.
    """
    if not any(url.startswith(f"{kind}://") for kind in address.REDIS):
        raise address.Refused(f"use one of the schemes {', '.join(address.REDIS)}")
    if address.scheme(url) in address.SENTINEL:
        address.sentinels(url)  # raises a more specific message
    try:
        # The client would otherwise reject an unknown option at each connection.
        pool(url).make_connection()
    except (ValueError, TypeError, RedisError):
        raise address.Refused("use a valid Redis URL") from None
