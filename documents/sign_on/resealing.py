"""Sealing of the providers' client secrets with a new master key."""

from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.sealed import seal_secret, unseal_secret


def reseal_providers() -> int:
    """Seal every client secret with the newest master key. Return the number of providers.

    Raises:
        UnsealableSecret: a secret is sealed with a missing master key.
    """
    found = list(SignOnProvider.objects(deleted_at=None))
    for provider in found:
        provider.change(_reseal)
    return len(found)


def _reseal(provider: SignOnProvider) -> None:
    provider.client_secret = seal_secret(provider.open_secret())
    if provider.draft_secret:
        provider.draft_secret = seal_secret(unseal_secret(provider.draft_secret))
