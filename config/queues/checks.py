"""Checks of URLs in settings, at the start and without network access."""

from redis.exceptions import RedisError

from config.queues import address
from config.queues.redis_pool import make_pool


def check_queue_url(url: str) -> None:
    """Check the URL of a queue of any kind.

    Raises:
        InvalidUrl: the URL is not valid. The message does not repeat it.
    """
    match address.read_scheme(url):
        case "sqlite":
            address.read_sqlite_path(url)
        case "sqs":
            address.read_sqs_address(url)
        case _:
            check_redis_url(url)


def check_redis_url(url: str) -> None:
    """Check the URL of a Redis server, with or without Sentinel.

    Raises:
        InvalidUrl: the URL is not valid. The message does not repeat it.
    """
    if not any(url.startswith(f"{kind}://") for kind in address.REDIS_SCHEMES):
        raise address.InvalidUrl(f"use one of the schemes {', '.join(address.REDIS_SCHEMES)}")
    if address.read_scheme(url) in address.SENTINEL_SCHEMES:
        address.read_sentinel_address(url)  # raises a more specific message
    try:
        # The client would otherwise reject an unknown option at each connection.
        make_pool(url).make_connection()
    except (ValueError, TypeError, RedisError):
        raise address.InvalidUrl("use a valid Redis URL") from None
