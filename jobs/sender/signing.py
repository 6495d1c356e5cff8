"""Signed headers of outgoing events, as Standard Webhooks defines them.

Source: the specification at github.com/standard-webhooks/standard-webhooks.
"""

from collections.abc import Iterable
from datetime import datetime

from standardwebhooks import Webhook


class Signer:
    """Signs events with every valid secret of an endpoint, so that receivers can replace them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._webhooks = [Webhook(one) for one in secrets]

    def build_headers(self, event_id: str, body: bytes, at: datetime) -> dict[str, str]:
        """Return the headers that prove the origin of a body."""
        text = body.decode()
        signatures = [one.sign(event_id, at, text) for one in self._webhooks]
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
