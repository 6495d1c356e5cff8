"""The arm of an email: a keyed hash of mailing and user.

The hash is stable and repeatable, and clients cannot predict it. The key is
`derive_secret(ASSIGNMENT_KEY_PURPOSE)`, which rotation keeps. Store the arm with the email, because
changed weights give some users another arm. Changed weights also mix response rates of different
days differently in each arm. So start another experiment rather than change the weights.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from bson import ObjectId

ASSIGNMENT_KEY_PURPOSE = b"experiment arms"
HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Arm:
    """A named share of a mailing's recipients. A held-out arm is deliberately not sent."""

    name: str
    weight: int
    held_out: bool = False


def assign_arm(
    key: bytes,
    mailing_id: ObjectId,
    user_id: ObjectId,
    arms: Sequence[Arm],
    kept: str | None = None,
) -> str:
    """Return the name of the user's arm in a mailing.

    Args:
        arms: at least one with a positive weight. Their order matters.
        kept: the arm that the email already has, or that the client names. It is returned as it is.
    """
    if kept is not None:
        return kept
    place = _find_place(key, mailing_id, user_id, sum(arm.weight for arm in arms))
    ends = accumulate(arm.weight for arm in arms)
    return next(arm.name for arm, end in zip(arms, ends, strict=True) if place < end)


def _find_place(key: bytes, mailing_id: ObjectId, user_id: ObjectId, places: int) -> int:
    """Return a number from 0 to places - 1. All are equally likely, apart from 2**-64."""
    digest = hmac.digest(key, mailing_id.binary + user_id.binary, "sha256")
    return int.from_bytes(digest[:HASH_BYTES]) * places >> (8 * HASH_BYTES)
