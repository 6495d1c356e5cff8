"""Staff passwords, hashed with argon2id. A check takes equally long if the account does not exist.

A process hashes at most two passwords at once. Each hash takes 19 MiB, so more simultaneous
sign-ins could exhaust the memory.
"""

import secrets
from collections.abc import Iterable
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from documents.access.password_rules import (
    MAX_PASSWORD_LENGTH,
    find_password_fault,
    normalize_password,
)
from documents.errors import Unacceptable

# Source: OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes and one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_room = BoundedSemaphore(2)


def hash_password(password: str, context: Iterable[str] = ()) -> str:
    """Return the hash to store for a new password.

    Args:
        context: what an attacker knows about the owner; see password_rules.py.

    Raises:
        Unacceptable: the password is too short, too long, or easy to guess.
    """
    if found := find_password_fault(password, context):
        raise Unacceptable("/password", *found)
    return _hash(normalize_password(password))


def matches_password(stored: str | None, password: str) -> bool:
    """Return whether the password matches. Without a hash, the check takes equally long."""
    typed = password[: MAX_PASSWORD_LENGTH + 1]
    # Earlier versions hashed passwords as typed.
    forms = dict.fromkeys((normalize_password(typed), typed))
    nobodys = _nobodys()  # the first check makes it, for known addresses, too
    fits = [_fits(stored or nobodys, form) for form in forms]
    return any(fits) and stored is not None


def _fits(stored: str, password: str) -> bool:
    with _room:
        try:
            return _hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeError):
            return False


def _hash(password: str) -> str:
    with _room:
        return _hasher.hash(password.encode("utf-8", "replace"))


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())
