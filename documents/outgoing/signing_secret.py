"""Signing secrets of webhook endpoints, in the form of Standard Webhooks."""

import secrets
from base64 import b64encode

SECRET_PREFIX = "whsec_"  # noqa: S105
SECRET_BYTES = 32


def make_secret() -> str:
    """Return a new signing secret."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
