"""Text around an address, as people and programs write it, and quoted local parts. Pure.

Sources: RFC 5322 (display names, comments, quoted strings) and RFC 6068 (`mailto:`).
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from documents.values.invisible_characters import remove_invisible, remove_odd_spaces

MAX_UNWRAPPING_ROUNDS = 4
ASCII_SIGNS = str.maketrans({"\uff20": "@", "\ufe6b": "@", "\uff1c": "<", "\uff1e": ">"})
ASCII_SPACE = " \t\r\n\v\f"
# No address begins or ends with these. A local part may begin with one of `PAIRED_SIGNS`, such as
# an apostrophe. It loses the sign only if the partner ends the text, as in Markdown's `_…_`.
OPENING_SIGNS = ASCII_SPACE + "<([,;:\u00ab\u2039\u2018\u201c\u201e\uff08\uff3b\u300a\u300c"
CLOSING_SIGNS = (
    ASCII_SPACE
    + ".,;:!?)}>'\"/\\|*_`~\u00bb\u203a\u2019\u201d\u2026\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff1f"
    + "\uff01\uff09\uff3d\uff61\u300b\u300d"
)
PAIRED_SIGNS = {"{": "}", **{sign: sign for sign in "'/|*_`~"}}
MAILTO_PATTERN = re.compile(r"mailto:/{0,2}", re.IGNORECASE)
COMMENT_PATTERN = re.compile(r"\([^()@]*\)")
ESCAPED_SIGN_PATTERN = re.compile(r"\\(.)", re.DOTALL)
QUOTED_SIGN_PATTERN = re.compile(r'[\s()<>\[\]:;@\\,"]')


def unwrap_address(text: str) -> str:
    """Return the address in the text, in its original spelling.

    Each round removes one layer, such as `mailto:` within `<…>`.
    """
    for _ in range(MAX_UNWRAPPING_ROUNDS):
        before, text = text, _unwrapped(text)
        if text == before:
            break
    return text


def unquote_local_part(local: str) -> str:
    """Return a local part without unnecessary quotes and escapes."""
    if len(local) < 3 or not (local.startswith('"') and local.endswith('"')):
        return local
    said = ESCAPED_SIGN_PATTERN.sub(r"\1", local[1:-1])
    if QUOTED_SIGN_PATTERN.search(said) is None:
        return said
    escaped = said.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def list_local_parts(local: str, after: str) -> Iterator[str]:
    """Yield a local part, then the same without each leading sign that does not belong to it.

    Args:
        after: text that follows the address.
    """
    signs = OPENING_SIGNS + _openers(after[: len(after) - len(after.lstrip(CLOSING_SIGNS))])
    yield local
    while local[:1] and local[0] in signs:
        local = local[1:]
        yield local


def _openers(closers: str) -> str:
    """Return the opening signs that pair with these closing signs."""
    return "".join(sign for sign, other in PAIRED_SIGNS.items() if other in closers)


def _unwrapped(text: str) -> str:
    text = remove_odd_spaces(remove_invisible(text)).translate(ASCII_SIGNS)
    text = _from_angles(text)
    if "(" in text and '"' not in text:
        text = COMMENT_PATTERN.sub("", text)
    text = _from_mailto(text.strip(ASCII_SPACE))
    return _trimmed(text)


def _from_angles(text: str) -> str:
    """Return the content of the only `<…>` if it ends the text."""
    end = text.rstrip(ASCII_SPACE + ".,;")
    if not end.endswith(">") or end.count("<") != 1:
        return text
    inner = end.partition("<")[2][:-1]
    return inner if "@" in inner else text


def _from_mailto(text: str) -> str:
    found = MAILTO_PATTERN.match(text)
    return unquote(text[found.end() :].partition("?")[0]) if found else text


def _trimmed(text: str) -> str:
    kept = text.rstrip(CLOSING_SIGNS if "@[" in text else CLOSING_SIGNS + "]")
    gone = text[len(kept) :]
    kept = kept.lstrip(OPENING_SIGNS)
    if kept[:1] in PAIRED_SIGNS:
        kept = kept.lstrip(_openers(gone))
    if kept.startswith('"') and '"@' not in kept:
        kept = kept[1:]
    return kept
