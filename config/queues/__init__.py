"""The supported queues of wake-ups: Redis, an SQLite file and Amazon SQS."""

from config.optional_imports import hide_module

# The Redis client imports OpenTelemetry's SDK if it is installed, although metrics are off. The
# import is here because all users of the client import this package first.
with hide_module("opentelemetry"):
    import redis  # noqa: F401
