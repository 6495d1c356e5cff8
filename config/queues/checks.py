"""Checks of URLs in settings, at the start and without a network."""

from redis.exceptions import RedisError

from config.queues import address
from config.queues.redis_pool import make_pool


def check_queue_url(url: str) -> None:
    """Read the URL of a queue of any kind.

    Raises:
        Refused: it cannot be one. The sentence says nothing of what is in it.
    """
    match address.read_scheme(url):
        case "sqlite":
            address.read_sqlite_path(url)
        case "sqs":
            address.read_sqs_address(url)
        case _:
            check_redis_url(url)


def check_redis_url(url: str) -> None:
    """Read the URL of a Redis, alone or behind Sentinel.

    Raises:
        Refused: it cannot be one. The sentence says nothing of what is in it.
    """
    if not any(url.startswith(f"{kind}://") for kind in address.REDIS_SCHEMES):
        raise address.InvalidUrl(
            f"it must begin with one of {', '.join(address.REDIS_SCHEMES)}, and ://"
        )
    if address.read_scheme(url) in address.SENTINEL_SCHEMES:
        address.read_sentinel_address(url)  # for its own sentence
    try:
        # Of an option that is none, the client would complain at each connection.
        make_pool(url).make_connection()
    except (ValueError, TypeError, RedisError):
        raise address.InvalidUrl("the Redis client cannot read it") from None
