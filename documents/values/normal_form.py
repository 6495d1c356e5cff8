"""Unicode's normal forms at a cost that is linear in the length of the text. Pure."""

import re
import sys
import unicodedata
from functools import cache
from typing import Literal

NormalForm = Literal["NFC", "NFD", "NFKC", "NFKD"]

# Normalizing sorts each run of combining marks in time quadratic in its length. Real text has
# shorter runs. Source: Unicode Standard Annex #15, Stream-Safe Text Format.
MAX_CONSECUTIVE_MARKS = 30
SHORT_TEXT_LENGTH = 256  # a run in a shorter text has no noticeable cost


def normalize_text(form: NormalForm, text: str) -> str:
    """Return the normal form of the text, without marks beyond the thirtieth in a row."""
    if text.isascii():
        return text
    if len(text) > SHORT_TEXT_LENGTH:
        text = _long_runs().sub(r"\1", text)
    return unicodedata.normalize(form, text)


@cache
def _long_runs() -> re.Pattern[str]:
    marks = "".join(
        one for one in map(chr, range(sys.maxunicode + 1)) if unicodedata.combining(one)
    )
    return re.compile(f"([{marks}]{{{MAX_CONSECUTIVE_MARKS}}})[{marks}]+")
