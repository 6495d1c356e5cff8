"""Sealing of the endpoints' secrets with a new master key."""

from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.storage.sealed import seal_secret, unseal_secret


def reseal_endpoints() -> int:
    """Seal every secret with the newest master key. Return the number of endpoints.

    Raises:
        UnsealableSecret: a secret is sealed with a missing master key.
    """
    found = list(WebhookEndpoint.objects(deleted_at=None))
    for endpoint in found:
        endpoint.change(_reseal)
    return len(found)


def _reseal(endpoint: WebhookEndpoint) -> None:
    endpoint.secret = seal_secret(unseal_secret(endpoint.secret))
    if endpoint.previous_secret:
        endpoint.previous_secret = seal_secret(unseal_secret(endpoint.previous_secret))
