"""Secrets that Matchback must read again, sealed with the master key.

A copy of the database reveals none of them.
"""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config.settings import get_settings

SEALED_PREFIX = "sealed:"


class UnsealableSecret(Exception):
    """There is no master key, or none that opens this. The message says what an operator does."""


def seal_secret(secret: str) -> str:
    """The secret as it is stored.

    Raises:
        Unsealable: no master key is set.
    """
    return SEALED_PREFIX + _ring(get_settings().master_keys).encrypt(secret.encode()).decode()


def unseal_secret(stored: str) -> str:
    """The secret. What was stored before there were master keys is as it is.

    Raises:
        Unsealable: no master key is set, or not the one it was sealed with.
    """
    if not stored.startswith(SEALED_PREFIX):
        return stored
    try:
        return (
            _ring(get_settings().master_keys).decrypt(stored.removeprefix(SEALED_PREFIX)).decode()
        )
    except InvalidToken:
        raise UnsealableSecret("None of MATCHBACK_MASTER_KEYS opens a webhook secret.") from None


@cache
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise UnsealableSecret(
            "MATCHBACK_MASTER_KEYS is not set, and webhook secrets are sealed with it: make a "
            "key with «matchback master-key new»."
        )
    return MultiFernet([Fernet(key) for key in keys])
