"""The forms of a text, as each of its encodings is removed. Pure.

URLs and webhook posts nest encodings: an address may be percent-encoded within base64 within JSON.
The cost is linear. Each text is decoded a bounded number of times, and each base64 part is unpacked
once, however many forms of a text contain it.
"""

import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

ROUNDS = 4
DEPTH = 3  # of base64 within base64
# What base64 hides has at most 3/4 of its length. A text that hides more than this many times its
# own length is made to cost time, so the rest of it stays packed.
MOST_GROWTH = 8
SHORTEST = 6  # of what is looked for: "a@b.co"
JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
JSON_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
ENCODED_AT = re.compile("%40|%EF%BC%A0|%EF%B9%AB", re.IGNORECASE)
QUOTED_PRINTABLE = re.compile(r"=40|=3D|=\r?\n")
QUOTED = re.compile(rb"=(?:([0-9A-F]{2})|\r?\n)")
# Without its semicolon, only a number is an entity: "&utm_source" begins a parameter.
ENTITY = re.compile(r"&(?:#(?:[0-9]{1,8}|[xX][0-9a-fA-F]{1,8});?|[A-Za-z][A-Za-z0-9]{1,31};)")
BASE64_PART = re.compile(r"[+/_-]+")
URL_SAFE = str.maketrans("-_", "+/")


class Known(NamedTuple):
    """The parts of texts that were unpacked already."""

    base64: set[str]
    hexadecimal: set[str]


class TooManyForms(Exception):
    """A text hides more than its length allows. Its other forms are not known."""


def stages(text: str, shortest: int = SHORTEST) -> Iterator[str]:
    """Yield the forms that `complete_stages` yields, as far as they are known."""
    with suppress(TooManyForms):
        yield from complete_stages(text, shortest)


def complete_stages(text: str, shortest: int = SHORTEST) -> Iterator[str]:
    """Yield the text, and each form that it takes as its encodings are removed.

    Args:
        shortest: the fewest characters that the caller looks for.

    Raises:
        TooManyForms: the text hides more than MOST_GROWTH times its length.
    """
    known, left, waiting = Known(set(), set()), MOST_GROWTH * len(text), [text]
    for level in range(1 + DEPTH):
        packed: list[str] = []
        for one in waiting:
            for form in _forms(one):
                yield form
                packed.append(form)
        waiting = []
        for one in packed if level < DEPTH else ():
            inner = _unpacked(one, shortest, known)
            left -= len(inner)
            if left < 0:
                raise TooManyForms
            if inner:
                waiting.append(inner)


def _forms(text: str) -> Iterator[str]:
    """Yield the text, and what it is as one encoding after the other is undone, but base64."""
    yield text
    for _ in range(ROUNDS):
        before = text
        for decode in DECODERS:
            decoded = decode(text)
            if decoded != text:
                text = decoded
                yield text
        if text == before:
            break


def _json(text: str) -> str:
    if "\\" not in text:
        return text
    # Halves of a character make one: JSON escapes emoji as two.
    joined = JSON_ESCAPE.sub(_escaped, text)
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else JSON_LETTERS.get(found[3], found[3])


def _percent(text: str) -> str:
    if "%" not in text:
        return text
    # Whoever encodes the "@" encodes a plus sign as well, so one that is left is a space.
    return unquote_plus(text) if ENCODED_AT.search(text) else unquote(text)


def _html(text: str) -> str:
    return ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def _quoted_printable(text: str) -> str:
    if not QUOTED_PRINTABLE.search(text):
        return text
    coded = text.encode("utf-8", "replace")
    data = QUOTED.sub(lambda found: bytes.fromhex((found[1] or b"").decode()), coded)
    return data.decode("utf-8", "replace")


DECODERS: tuple[Callable[[str], str], ...] = (_json, _percent, _html, _quoted_printable)


def _unpacked(text: str, shortest: int, known: Known) -> str:
    """Return what the parts of the text are that base64 or hexadecimal digits hide.

    Args:
        known: these are not unpacked again. New parts are added.
    """
    base64_runs, hexadecimal = _runs(shortest)
    found: list[str] = []
    for run in _new(base64_runs.findall(text), known.base64):
        if whole := _from_base64(run):
            found.append(whole)
        elif not run.isalnum():
            # A slash, dash or underscore may also stand between two texts.
            parts = (part for part in BASE64_PART.split(run) if len(part) >= shortest)
            found += filter(None, map(_from_base64, parts))
    for digits in _new(hexadecimal.findall(text), known.hexadecimal):
        if plain := _readable(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            found.append(plain)
    return "\n".join(found)


def _new(parts: list[str], known: set[str]) -> list[str]:
    """Return the parts that are not known yet, each once, and make them known."""
    new = [part for part in dict.fromkeys(parts) if part not in known]
    known.update(new)
    return new


@lru_cache(maxsize=256)
def _runs(shortest: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what is long enough to hide so many characters."""
    base64_length, hex_length = -(-shortest * 4 // 3), 2 * shortest
    return (
        re.compile(rf"[A-Za-z0-9+/_-]{{{base64_length},}}"),
        re.compile(rf"[0-9a-fA-F]{{{hex_length},}}"),
    )


def _from_base64(text: str) -> str | None:
    if len(text) % 4 == 1:
        return None
    try:
        data = binascii.a2b_base64(text.translate(URL_SAFE) + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return _readable(data)


def _readable(data: bytes) -> str | None:
    """Return the text that bytes are; None if they are none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or not set(text) & UNREADABLE else None


UNREADABLE = frozenset(map(chr, [*range(9), *range(14, 32), 127]))


def texts_of(value: object) -> Iterator[str]:
    """Yield each text of a JSON value, names included, with numbers and the rest as text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            yield one
        elif one is not None and not isinstance(one, bool):
            yield json.dumps(one, default=str)
