"""Candidates for a link token or an email's ID in a damaged text. Pure.

Mail programs add punctuation, or parameters such as `&fbclid=…`. Quoted-printable (RFC 2045) turns
`=` into `=3D` and breaks lines. Servers add percent-encoding and HTML entities. This module never
guesses letters, because a token with changed case proves nothing.
"""

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice
from urllib.parse import unquote

from documents.giving_links.link_token import LINK_TOKEN_LENGTH
from documents.values.invisible_characters import remove_invisible

MAX_DAMAGED_LENGTH = 2000  # longer than any stored reference
MAX_LINK_DECODINGS = 3
MAX_TOKEN_CANDIDATES = 48
MAX_EXTRA_LETTERS = 8  # letters beyond the token in a run

TOKEN_RUN_PATTERN = re.compile(rf"[A-Za-z0-9_-]{{{LINK_TOKEN_LENGTH},}}", re.ASCII)
EMAIL_ID_PATTERN = re.compile(r"(?<![0-9A-Za-z])(?:3D)?([0-9a-fA-F]{24})(?![0-9A-Za-z])", re.ASCII)
NAMED_EMAIL_ID_PATTERN = re.compile(r"email_id=(?:3D)?([0-9a-fA-F]{24})(?![0-9A-Za-z])", re.ASCII)
SOFT_BREAK_PATTERN = re.compile(r"=[ \t]*\r?\n[ \t]*")
QUOTED_CHARACTER_PATTERN = re.compile(r"=([0-9A-Fa-f]{2})", re.ASCII)
LOST_CHARACTERS_PATTERN = re.compile(r"[\s\\]+")  # line breaks and Markdown escapes
# Word processors replace hyphens with typographic dashes.
DASH_REPLACEMENTS = str.maketrans(
    {**dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"), "\u2014": "--"}
)


def find_token_candidates(text: str) -> Iterator[str]:
    """Yield each possible token once. The text itself comes before its decoded forms."""
    yield from islice(dict.fromkeys(_tokens(text)), MAX_TOKEN_CANDIDATES)


def find_email_ids(text: str) -> set[str]:
    """Return the distinct IDs after `email_id=`, or all distinct IDs if there are none."""
    forms = _forms(text)
    named = {id_.lower() for form in forms for id_ in NAMED_EMAIL_ID_PATTERN.findall(form)}
    return named or {id_.lower() for form in forms for id_ in EMAIL_ID_PATTERN.findall(form)}


def normalize_dashes(text: str) -> str:
    """Return the text with plain dashes and without invisible characters."""
    return text if text.isascii() else remove_invisible(text).translate(DASH_REPLACEMENTS)


def remove_line_breaks(text: str) -> str:
    """Return the text without line breaks, white space and Markdown escapes."""
    return LOST_CHARACTERS_PATTERN.sub("", SOFT_BREAK_PATTERN.sub("", text))


def _tokens(text: str) -> Iterator[str]:
    for form in _forms(text):
        for found in TOKEN_RUN_PATTERN.finditer(form):
            run = found.group()
            for start in _starts(len(run) - LINK_TOKEN_LENGTH):
                yield run[start : start + LINK_TOKEN_LENGTH]


def _starts(more: int) -> list[int]:
    """Return where a token may start in a run: anywhere, or near the ends of a long run."""
    if more <= MAX_EXTRA_LETTERS:
        return list(range(more + 1))
    return [0, 1, 2, more - 1, more]


def _forms(text: str) -> list[str]:
    """Return the text, and its forms after the repair of each kind of damage."""
    form = normalize_dashes(text[:MAX_DAMAGED_LENGTH])
    forms = [form, joined := SOFT_BREAK_PATTERN.sub("", form)]
    for _ in range(MAX_LINK_DECODINGS):
        joined = unescape(unquote(joined))
        forms.append(joined)
    forms.append(QUOTED_CHARACTER_PATTERN.sub(lambda found: chr(int(found[1], 16)), forms[1]))
    forms += [LOST_CHARACTERS_PATTERN.sub("", one) for one in (forms[1], forms[-2], forms[-1])]
    return list(dict.fromkeys(forms))
