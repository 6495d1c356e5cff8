"""Rules against passwords that are easy to guess. Pure.

Source: NIST SP 800-63B-4, section 3.1.1.2: at least a minimum length after normalization, and no
common, repetitive, sequential or context-specific password. zxcvbn estimates the guesses.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 200
PRODUCT_NAME = "matchback"
# zxcvbn's score 4, and score 3 for the same text without separators: safe against offline
# guessing of a slow hash.
MIN_GUESSES, MIN_GUESSES_WITHOUT_SEPARATORS = 10**10, 10**8
# zxcvbn's time grows with more than the square of the length: 0.1 s for 32 characters at worst.
MAX_SCORED_LENGTH = 32
MIN_CONTEXT_LENGTH = 3
PASSWORD_SEPARATORS = re.compile(r"[\s._,;:/+@\-]+")
LENGTH_MESSAGE = (
    f"Choose a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} visible characters."
)
GUESSABLE_MESSAGE = (
    "The password is easy to guess. Choose one without common words or numbers, keyboard rows, "
    "repeated parts, or the address, name and organization; four random words are good."
)


def normalize_password(password: str) -> str:
    """Return the form that is hashed, so that each keyboard's way to type a password works."""
    return unicodedata.normalize("NFKC", password)


def find_password_fault(password: str, context: Iterable[str] = ()) -> tuple[str, str] | None:
    """Return a code and a sentence that say why a new password is rejected; None if it is fine.

    Args:
        context: what an attacker knows: the address, the name, the organization.
    """
    if len(password) > MAX_PASSWORD_LENGTH:
        return "length", LENGTH_MESSAGE
    text = _visible(normalize_password(password))
    if not MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH:
        return "length", LENGTH_MESSAGE
    known = sorted(set(_parts_of([*context, PRODUCT_NAME])), key=len, reverse=True)
    bare = PASSWORD_SEPARATORS.sub("", text)
    is_weak = _is_guessable(text, known, MIN_GUESSES)
    if is_weak or _is_guessable(bare, known, MIN_GUESSES_WITHOUT_SEPARATORS):
        return "guessable", GUESSABLE_MESSAGE
    return None


def _visible(text: str) -> str:
    """Leave out characters without a shape, and all but one of several spaces."""
    shown = "".join(one for one in text if unicodedata.category(one)[0] != "C")
    return " ".join(shown.split())


def _parts_of(context: Iterable[str]) -> Iterator[str]:
    """Return the words that each text consists of, alone, joined, and reversed."""
    for text in context:
        whole = _visible(normalize_password(text)).casefold()
        words = PASSWORD_SEPARATORS.split(whole)
        for part in (whole, *whole.split("@"), *words, "".join(words), *_joined(words)):
            if len(part) >= MIN_CONTEXT_LENGTH:
                yield part
                yield part[::-1]


def _joined(words: list[str]) -> Iterator[str]:
    for first, second in pairwise(words):
        yield first + second


def _is_guessable(text: str, known: list[str], enough: int) -> bool:
    """Whether both ends are. An unguessable part makes the whole unguessable."""
    rest = _unit(text)
    for part in known:
        rest = re.sub(re.escape(part), " ", rest, flags=re.IGNORECASE)
    rest = _unit(" ".join(rest.split()))
    ends = {rest[:MAX_SCORED_LENGTH], rest[-MAX_SCORED_LENGTH:]}
    return all(_guesses(end) < enough for end in ends)


def _unit(text: str) -> str:
    """Return the part that a text repeats from its beginning to its end, or the text."""
    folded = text.casefold()
    for length in range(1, len(folded) // 2 + 1):
        if folded[length:] == folded[:-length]:
            return folded[:length]
    return text


def _guesses(text: str) -> int:
    if not text:
        return 0
    from zxcvbn import zxcvbn  # 30,000 words in memory, which most processes never need

    return int(zxcvbn(text)["guesses"])
