"""Secrets that Matchback must read again, sealed with the master key.

A copy of the database does not reveal them.
"""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config.settings import get_settings

SEALED_PREFIX = "sealed:"


class UnsealableSecret(Exception):
    """No master key is set, or none opens the secret. The message instructs the operator."""


def seal_secret(secret: str) -> str:
    """Return the secret in its stored form.

    Raises:
        UnsealableSecret: no master key is set.
    """
    return SEALED_PREFIX + _ring(get_settings().master_keys).encrypt(secret.encode()).decode()


def unseal_secret(stored: str) -> str:
    """Return the secret. Secrets from before master keys existed are stored as plain text.

    Raises:
        UnsealableSecret: no master key is set, or none opens the secret.
    """
    if not stored.startswith(SEALED_PREFIX):
        return stored
    try:
        return (
            _ring(get_settings().master_keys).decrypt(stored.removeprefix(SEALED_PREFIX)).decode()
        )
    except InvalidToken:
        raise UnsealableSecret("No key in MATCHBACK_MASTER_KEYS opens a stored secret.") from None


@cache
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise UnsealableSecret(
            "MATCHBACK_MASTER_KEYS is not set, but secrets are sealed with it. Create a "
            "key with `matchback master-key new`."
        )
    return MultiFernet([Fernet(key) for key in keys])
