"""Passwords of staff: hashed with argon2id, and compared at the same cost whoever asks.

At most two are hashed at once in a process: each takes 19 MiB, and signing in must not be a way
to fill the memory.
"""

import secrets
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from documents.errors import Unacceptable

SHORTEST, LONGEST = 12, 200
# Source: OWASP's Password Storage cheat sheet, argon2id with 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_room = BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """What is stored of a password.

    Raises:
        Unacceptable: it is shorter than 12 characters, or longer than 200.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Unacceptable(
            "/password", "length", f"A password is {SHORTEST} to {LONGEST} characters."
        )
    return _hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether it is the one. With nothing stored it takes as long, and it is not."""
    with _room:
        try:
            _hasher.verify(stored or _nobodys(), password[: LONGEST + 1])
        except (VerificationError, InvalidHashError, UnicodeError):
            return False
    return stored is not None


def _hash(password: str) -> str:
    with _room:
        return _hasher.hash(password.encode("utf-8", "replace"))


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())
