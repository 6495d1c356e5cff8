"""Candidates for a link token or an email's ID in a damaged text. Pure.

Mail programs add punctuation, or parameters such as `&fbclid=…`. Quoted-printable (RFC 2045) turns
`=` into `=3D` and breaks lines. Servers encode characters by percent signs and HTML entities. This
module never guesses letters, because a token whose case was changed has no proof.
"""

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice
from urllib.parse import unquote

from documents.giving_links.link_token import LENGTH
from documents.values.invisible_characters import without_invisible

LONGEST = 2000  # more than any stored reference has
DECODINGS = 3
MOST_TOKENS = 48
MORE = 8  # by how many letters a run may be longer than the token within it

RUN = re.compile(rf"[A-Za-z0-9_-]{{{LENGTH},}}", re.ASCII)
IDS = re.compile(r"(?<![0-9A-Za-z])(?:3D)?([0-9a-fA-F]{24})(?![0-9A-Za-z])", re.ASCII)
NAMED_IDS = re.compile(r"email_id=(?:3D)?([0-9a-fA-F]{24})(?![0-9A-Za-z])", re.ASCII)
SOFT_BREAK = re.compile(r"=[ \t]*\r?\n[ \t]*")
QUOTED = re.compile(r"=([0-9A-Fa-f]{2})", re.ASCII)
LOST = re.compile(r"[\s\\]+")  # line breaks, and Markdown's escapes
# Writing programs make typographic dashes of hyphens.
DASHES = str.maketrans(
    {**dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"), "\u2014": "--"}
)


def tokens_in(text: str) -> Iterator[str]:
    """Yield what may be a token, each once, as it stands there before what decoding makes of it."""
    yield from islice(dict.fromkeys(_tokens(text)), MOST_TOKENS)


def ids_in(text: str) -> set[str]:
    """Return the different ids in the text: those after `email_id=`, or else all of them."""
    forms = _forms(text)
    named = {id_.lower() for form in forms for id_ in NAMED_IDS.findall(form)}
    return named or {id_.lower() for form in forms for id_ in IDS.findall(form)}


def plain(text: str) -> str:
    """Return the text with plain dashes and without invisible characters."""
    return text if text.isascii() else without_invisible(text).translate(DASHES)


def unbroken(text: str) -> str:
    """Return the text without line breaks, white space and Markdown's escapes."""
    return LOST.sub("", SOFT_BREAK.sub("", text))


def _tokens(text: str) -> Iterator[str]:
    for form in _forms(text):
        for found in RUN.finditer(form):
            run = found.group()
            for start in _starts(len(run) - LENGTH):
                yield run[start : start + LENGTH]


def _starts(more: int) -> list[int]:
    """Return where a token may start in a longer run: anywhere, or near the ends of a long one."""
    if more <= MORE:
        return list(range(more + 1))
    return [0, 1, 2, more - 1, more]


def _forms(text: str) -> list[str]:
    """Return the text as it is, and as it was before each of the things that happen to texts."""
    form = plain(text[:LONGEST])
    forms = [form, joined := SOFT_BREAK.sub("", form)]
    for _ in range(DECODINGS):
        joined = unescape(unquote(joined))
        forms.append(joined)
    forms.append(QUOTED.sub(lambda found: chr(int(found[1], 16)), forms[1]))
    forms += [LOST.sub("", one) for one in (forms[1], forms[-2], forms[-1])]
    return list(dict.fromkeys(forms))
