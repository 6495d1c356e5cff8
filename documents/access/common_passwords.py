"""The packaged list of common passwords: the 30,000 of zxcvbn.

zxcvbn itself finds an entry in any case, and after one set of substitutions. This module also finds
an entry that has digits of its own.
"""

from functools import cache

MAX_ADDED_CHARACTERS = 2
# Each sign becomes the letter that it resembles, in the list and in the password.
LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("4@", "a"),
        "8": "b",
        **dict.fromkeys("({[<", "c"),
        "3": "e",
        **dict.fromkeys("69", "g"),
        **dict.fromkeys("1!|i", "l"),
        "0": "o",
        **dict.fromkeys("$5", "s"),
        **dict.fromkeys("7+", "t"),
        "%": "x",
        "2": "z",
    }
)


def is_common_password(text: str) -> bool:
    """Return whether the list has the text, in any case and with any lookalikes of letters.

    The text may have up to two more characters at its end.
    """
    folded = fold_lookalikes(text)
    shorter = (folded[: len(folded) - more] for more in range(MAX_ADDED_CHARACTERS + 1))
    return any(one in _load_folded() for one in shorter)


def fold_lookalikes(text: str) -> str:
    """Return the text in lower case, with letters in place of their lookalikes."""
    return text.casefold().translate(LOOKALIKES)


@cache
def _load_folded() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # lazy, as in password_rules.py

    return frozenset(map(fold_lookalikes, FREQUENCY_LISTS["passwords"]))
