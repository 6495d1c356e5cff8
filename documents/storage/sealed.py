"""Secrets that Matchback must read again, sealed with the master key.

A copy of the database reveals none of them.
"""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config.settings import settings

MARK = "sealed:"


class Unsealable(Exception):
    """There is no master key, or none that opens this. The message says what an operator does."""


def seal(secret: str) -> str:
    """The secret as it is stored.

    Raises:
        Unsealable: no master key is set.
    """
    return MARK + _ring(settings().master_keys).encrypt(secret.encode()).decode()


def unseal(stored: str) -> str:
    """The secret. What was stored before there were master keys is as it is.

    Raises:
        Unsealable: no master key is set, or not the one it was sealed with.
    """
    if not stored.startswith(MARK):
        return stored
    try:
        return _ring(settings().master_keys).decrypt(stored.removeprefix(MARK)).decode()
    except InvalidToken:
        raise Unsealable("None of MATCHBACK_MASTER_KEYS opens a webhook secret.") from None


@cache
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise Unsealable(
            "MATCHBACK_MASTER_KEYS is not set, and webhook secrets are sealed with it: make a "
            "key with «matchback master-key new»."
        )
    return MultiFernet([Fernet(key) for key in keys])
