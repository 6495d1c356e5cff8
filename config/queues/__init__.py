"""The supported queues of wake-ups: Redis, an SQLite file, Amazon SQS."""

from config.optional_imports import hide_module

# Redis's client loads the metrics of OpenTelemetry's SDK if it is there, though nobody asked it to
# tell any. Here, because whoever comes to use the client comes by here first.
with hide_module("opentelemetry"):
    import redis  # noqa: F401
