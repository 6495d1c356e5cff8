"""Arms of emails: stable, uniform, and kept when weights change."""

import math
from collections import Counter
from functools import cache

import pytest
from bson import ObjectId

from documents.experiments.assignment import Arm, assign_arm

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
MAILING, REMINDER = ObjectId("64b000000000000000000001"), ObjectId("64b000000000000000000002")
USERS = [ObjectId(f"64c0{number:020x}") for number in range(20_000)]  # consecutive, as in imports
HOLDOUT_AND_MAILING = (Arm("holdout", 1, held_out=True), Arm("mailing", 9))


@cache
def choose_all(
    arms: tuple[Arm, ...] = HOLDOUT_AND_MAILING, mailing: ObjectId = MAILING, key: bytes = KEY
) -> list[str]:
    return [assign_arm(key, mailing, user, arms) for user in USERS]


def test_the_same_user_always_gets_the_same_arm() -> None:
    assert choose_all() == choose_all.__wrapped__()
    assert assign_arm(KEY, MAILING, USERS[0], HOLDOUT_AND_MAILING) == "mailing"
    assert assign_arm(KEY, MAILING, USERS[1], HOLDOUT_AND_MAILING) == "holdout"


@pytest.mark.parametrize("weights", [(1, 1), (1, 9), (1, 19), (1, 1, 1, 1), (5, 32, 32, 31)])
def test_arms_get_their_shares(weights: tuple[int, ...]) -> None:
    arms = tuple(Arm(str(number), weight) for number, weight in enumerate(weights))
    counts = Counter(choose_all(arms))
    for arm in arms:
        share = arm.weight / sum(weights)
        deviation = math.sqrt(len(USERS) * share * (1 - share))
        assert abs(counts[arm.name] - len(USERS) * share) < 3 * deviation


@pytest.mark.parametrize(("mailing", "key"), [(REMINDER, KEY), (MAILING, OTHER_KEY)])
def test_mailings_and_keys_choose_independently(mailing: ObjectId, key: bytes) -> None:
    both = Counter(zip(choose_all(), choose_all(mailing=mailing, key=key), strict=True))
    assert both["holdout", "holdout"] == pytest.approx(len(USERS) * 0.01, rel=0.25)


def test_an_arm_without_weight_gets_nobody() -> None:
    assert set(choose_all((Arm("a", 0), Arm("b", 1), Arm("c", 0)))) == {"b"}


def test_an_email_keeps_its_arm_when_weights_change() -> None:
    before = choose_all()
    changed = (Arm("holdout", 1, held_out=True), Arm("mailing", 1))
    after = [
        assign_arm(KEY, MAILING, user, changed, kept)
        for user, kept in zip(USERS, before, strict=True)
    ]
    assert after == before


def test_changed_weights_move_only_as_many_users_as_they_must() -> None:
    changed = (Arm("holdout", 1, held_out=True), Arm("mailing", 1))
    pairs = Counter(zip(choose_all(), choose_all(changed), strict=True))
    assert pairs["holdout", "mailing"] == 0
    assert pairs["mailing", "holdout"] == pytest.approx(len(USERS) * 0.4, rel=0.05)


def test_an_arm_that_the_client_names_is_kept() -> None:
    assert assign_arm(KEY, MAILING, USERS[0], HOLDOUT_AND_MAILING, "holdout") == "holdout"
