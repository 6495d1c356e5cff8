"""The decoded forms of a text, one for each of its encodings. Pure.

URLs and webhook posts nest encodings: an address may be percent-encoded within base64 within JSON.
The cost is linear, because the number of decodings per text is limited. This module unpacks each
base64 part only once, even if several forms of a text contain it.
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

MAX_DECODING_ROUNDS = 4
MAX_BASE64_DEPTH = 3  # levels of base64 within base64
# A decoded base64 text has at most 3/4 of the encoded length. If the decoded parts of a text exceed
# its length by this factor, decoding stops, which limits the cost of hostile texts.
MAX_UNPACKED_GROWTH = 8
MIN_ADDRESS_LENGTH = 6  # of the addresses to find, such as "a@b.co"
JSON_ESCAPE_PATTERN = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
JSON_ESCAPE_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
ENCODED_AT_PATTERN = re.compile("%40|%EF%BC%A0|%EF%B9%AB", re.IGNORECASE)
QUOTED_PRINTABLE_PATTERN = re.compile(r"=40|=3D|=\r?\n")
QUOTED_BYTE_PATTERN = re.compile(rb"=(?:([0-9A-F]{2})|\r?\n)")
# Named entities need a semicolon here, because "&utm_source" begins a parameter.
HTML_ENTITY_PATTERN = re.compile(
    r"&(?:#(?:[0-9]{1,8}|[xX][0-9a-fA-F]{1,8});?|[A-Za-z][A-Za-z0-9]{1,31};)"
)
BASE64_SIGNS_PATTERN = re.compile(r"[+/_-]+")
URL_SAFE_BASE64 = str.maketrans("-_", "+/")


class UnpackedParts(NamedTuple):
    """The encoded parts of texts that are already unpacked."""

    base64: set[str]
    hexadecimal: set[str]


class TooManyForms(Exception):
    """The decoded parts of a text exceed the limit. Its other forms are unknown."""


def decode_stages(text: str, shortest: int = MIN_ADDRESS_LENGTH) -> Iterator[str]:
    """Yield the forms that `complete_stages` yields, up to its limit."""
    with suppress(TooManyForms):
        yield from complete_stages(text, shortest)


def complete_stages(text: str, shortest: int = MIN_ADDRESS_LENGTH) -> Iterator[str]:
    """Yield the text, and each form that results from removing its encodings.

    Args:
        shortest: the length in characters of the shortest text that the caller looks for.

    Raises:
        TooManyForms: the decoded parts exceed MAX_UNPACKED_GROWTH times the text's length.
    """
    known, left, waiting = UnpackedParts(set(), set()), MAX_UNPACKED_GROWTH * len(text), [text]
    for level in range(1 + MAX_BASE64_DEPTH):
        packed: list[str] = []
        for one in waiting:
            for form in _forms(one):
                yield form
                packed.append(form)
        waiting = []
        for one in packed if level < MAX_BASE64_DEPTH else ():
            inner = _unpacked(one, shortest, known)
            left -= len(inner)
            if left < 0:
                raise TooManyForms
            if inner:
                waiting.append(inner)


def _forms(text: str) -> Iterator[str]:
    """Yield the text, and its form after removing each encoding except base64."""
    yield text
    for _ in range(MAX_DECODING_ROUNDS):
        before = text
        for decode in TEXT_DECODERS:
            decoded = decode(text)
            if decoded != text:
                text = decoded
                yield text
        if text == before:
            break


def _json(text: str) -> str:
    if "\\" not in text:
        return text
    # JSON escapes an emoji as two surrogates. UTF-16 joins them into one character.
    joined = JSON_ESCAPE_PATTERN.sub(_escaped, text)
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else JSON_ESCAPE_LETTERS.get(found[3], found[3])


def _percent(text: str) -> str:
    if "%" not in text:
        return text
    # A sender that encodes "@" also encodes a plus sign, so a literal plus sign is a space.
    return unquote_plus(text) if ENCODED_AT_PATTERN.search(text) else unquote(text)


def _html(text: str) -> str:
    return (
        HTML_ENTITY_PATTERN.sub(lambda found: html.unescape(found[0]), text)
        if "&" in text
        else text
    )


def _quoted_printable(text: str) -> str:
    if not QUOTED_PRINTABLE_PATTERN.search(text):
        return text
    coded = text.encode("utf-8", "replace")
    data = QUOTED_BYTE_PATTERN.sub(lambda found: bytes.fromhex((found[1] or b"").decode()), coded)
    return data.decode("utf-8", "replace")


TEXT_DECODERS: tuple[Callable[[str], str], ...] = (_json, _percent, _html, _quoted_printable)


def _unpacked(text: str, shortest: int, known: UnpackedParts) -> str:
    """Return the decoded base64 and hexadecimal parts of the text, one on each line.

    Args:
        known: parts that need no unpacking again. This function adds new parts.
    """
    base64_runs, hexadecimal = _runs(shortest)
    found: list[str] = []
    for run in _new(base64_runs.findall(text), known.base64):
        if whole := _from_base64(run):
            found.append(whole)
        elif not run.isalnum():
            # A slash, dash or underscore may also separate two texts.
            parts = (part for part in BASE64_SIGNS_PATTERN.split(run) if len(part) >= shortest)
            found += filter(None, map(_from_base64, parts))
    for digits in _new(hexadecimal.findall(text), known.hexadecimal):
        if plain := _readable(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            found.append(plain)
    return "\n".join(found)


def _new(parts: list[str], known: set[str]) -> list[str]:
    """Return each new part once, and add it to the known parts."""
    new = [part for part in dict.fromkeys(parts) if part not in known]
    known.update(new)
    return new


@lru_cache(maxsize=256)
def _runs(shortest: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return patterns for base64 and hexadecimal runs that can encode `shortest` characters."""
    base64_length, hex_length = -(-shortest * 4 // 3), 2 * shortest
    return (
        re.compile(rf"[A-Za-z0-9+/_-]{{{base64_length},}}"),
        re.compile(rf"[0-9a-fA-F]{{{hex_length},}}"),
    )


def _from_base64(text: str) -> str | None:
    if len(text) % 4 == 1:
        return None
    try:
        data = binascii.a2b_base64(text.translate(URL_SAFE_BASE64) + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return _readable(data)


def _readable(data: bytes) -> str | None:
    """Return the text that the bytes encode; None if they do not encode readable text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or not set(text) & UNREADABLE_CHARACTERS else None


UNREADABLE_CHARACTERS = frozenset(map(chr, [*range(9), *range(14, 32), 127]))


def list_json_texts(value: object) -> Iterator[str]:
    """Yield each text in a JSON value, including field names, with numbers as text."""
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
