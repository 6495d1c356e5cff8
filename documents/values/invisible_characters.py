"""Invisible characters, which often come with text that a person copies from a page or document."""

import re

# Unicode's Default_Ignorable_Code_Point, the blank Braille pattern and annotation marks.
# Source: https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt
INVISIBLE_CHARACTERS_PATTERN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# Spaces and line separators outside ASCII.
ODD_SPACES_PATTERN = re.compile("[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def remove_invisible(text: str) -> str:
    """Return the text without characters that have no width, such as direction marks."""
    return text if text.isascii() else INVISIBLE_CHARACTERS_PATTERN.sub("", text)


def remove_odd_spaces(text: str) -> str:
    """Return the text without spaces outside ASCII, such as no-break spaces."""
    return text if text.isascii() else ODD_SPACES_PATTERN.sub("", text)
