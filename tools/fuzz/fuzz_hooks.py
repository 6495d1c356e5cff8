"""Hooks that teach schemathesis the service's media types."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(context: object, value: object) -> bytes:
    """Serialize lines as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
