"""Upper limit of the parts: the fastest possible service on gunicorn, PyMongo and redis-py.

A bare WSGI handler inserts the request body with a majority write concern, and pushes the ID into a
list. It has no API key, no checks, no idempotency, and no unique index.
"""

import json
import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import redis
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection


@cache
def _parts() -> tuple[Collection[dict[str, Any]], redis.Redis]:
    mongo: Any = MongoClient(os.environ["BENCH_MONGODB_URI"], w="majority")
    queue = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
    return mongo.get_default_database().limit, queue


def handler(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Store a posted JSON object, and respond 201 with its ID."""
    gifts, queue = _parts()
    gift = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    gift["_id"] = ObjectId()
    gifts.insert_one(gift)
    queue.lpush("limit", str(gift["_id"]))
    answer = json.dumps({"id": str(gift["_id"])}).encode()
    start_response(
        "201 Created",
        [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
    )
    return [answer]


def start() -> Any:
    """Return the handler for this project's server, as `service.app:start()` does."""
    from config.settings import get_settings
    from service.server.bridge import Bridge

    return Bridge(handler, get_settings().web_threads)
