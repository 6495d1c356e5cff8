"""Signing secrets of webhook endpoints, in the form of Standard Webhooks."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from documents.storage.sealed import UnsealableSecret, unseal_secret

SECRET_PREFIX = "whsec_"  # noqa: S105
SECRET_BYTES = 32


def make_secret() -> str:
    """Return a new signing secret."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def keep_if_readable(sealed: str) -> str | None:
    """Return the sealed secret, or None if its master key is missing.

    An unreadable previous secret would prevent signing with the new one.
    """
    try:
        unseal_secret(sealed)
    except UnsealableSecret:
        return None
    return sealed


def open_endpoint_secrets(endpoint: Mapping[str, Any], at: datetime) -> list[str]:
    """Return the valid signing secrets of a stored row as plain text, newest first.

    Raises:
        UnsealableSecret: a secret is sealed with a missing master key.
    """
    stored = [endpoint["secret"]]
    until = endpoint.get("previous_secret_until")
    if endpoint.get("previous_secret") and until and at < until:
        stored.append(endpoint["previous_secret"])
    return [unseal_secret(one) for one in stored]
