"""Rules against passwords that are easy to guess. Pure.

Source: NIST SP 800-63B-4, section 3.1.1.2. It requires a minimum length after normalization, and
forbids common, repetitive, sequential and context-specific passwords. zxcvbn estimates how many
guesses an attacker needs.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

from documents.access.common_passwords import is_common_password

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 200
PRODUCT_NAME = "matchback"
# zxcvbn's score 4, and its score 3 for the same text without separators. Both resist offline
# guessing against a slow hash.
MIN_GUESSES, MIN_GUESSES_WITHOUT_SEPARATORS = 10**10, 10**8
# zxcvbn's time grows faster than the square of the length: at most 0.1 s for 32 characters.
MAX_SCORED_LENGTH = 32
MIN_CONTEXT_LENGTH = 3
PASSWORD_SEPARATORS = re.compile(r"[\s._,;:/+@\-]+")
LENGTH_MESSAGE = (
    f"Choose a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} visible characters."
)
GUESSABLE_MESSAGE = (
    "The password is easy to guess. Choose one without common words or numbers, keyboard rows, "
    "repeated parts, or the account's address, name or organization. Four random words work well."
)


def normalize_password(password: str) -> str:
    """Return the form to hash, which is the same for all keyboards and input methods."""
    return unicodedata.normalize("NFKC", password)


def find_password_fault(password: str, context: Iterable[str] = ()) -> tuple[str, str] | None:
    """Return a code and a message that explain a rejected password; None if it is acceptable.

    Args:
        context: what an attacker knows: the address, the name and the organization.
    """
    if len(password) > MAX_PASSWORD_LENGTH:
        return "length", LENGTH_MESSAGE
    text = _visible(normalize_password(password))
    if not MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH:
        return "length", LENGTH_MESSAGE
    known = sorted(set(_parts_of([*context, PRODUCT_NAME])), key=len, reverse=True)
    bare = PASSWORD_SEPARATORS.sub("", text)
    is_weak = is_common_password(text) or _is_guessable(text, known, MIN_GUESSES)
    if is_weak or _is_guessable(bare, known, MIN_GUESSES_WITHOUT_SEPARATORS):
        return "guessable", GUESSABLE_MESSAGE
    return None


def _visible(text: str) -> str:
    """Return the text without invisible characters and repeated spaces."""
    shown = "".join(one for one in text if unicodedata.category(one)[0] != "C")
    return " ".join(shown.split())


def _parts_of(context: Iterable[str]) -> Iterator[str]:
    """Yield each text and its words: alone, joined, and reversed."""
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
    """Return whether both ends of the text are guessable. One strong end is enough."""
    rest = _unit(text)
    for part in known:
        rest = re.sub(re.escape(part), " ", rest, flags=re.IGNORECASE)
    rest = _unit(" ".join(rest.split()))
    ends = {rest[:MAX_SCORED_LENGTH], rest[-MAX_SCORED_LENGTH:]}
    return all(_guesses(end) < enough for end in ends)


def _unit(text: str) -> str:
    """Return the part that the text repeats from beginning to end, or the text itself."""
    folded = text.casefold()
    for length in range(1, len(folded) // 2 + 1):
        if folded[length:] == folded[:-length]:
            return folded[:length]
    return text


def _guesses(text: str) -> int:
    if not text:
        return 0
    from zxcvbn import zxcvbn  # lazy: it loads 30,000 words, and most processes never need it

    return int(zxcvbn(text)["guesses"])
