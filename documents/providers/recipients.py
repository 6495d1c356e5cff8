"""The one recipient that a provider names. Pure."""

import re
from typing import Any

from documents.providers.report import clean_text
from documents.values.address import ADDRESS_PATTERN, strip_address

MENTIONED_ADDRESS = re.compile(r'[^\s<>,;"@]+@[^\s<>,;"@]+')


def read_sole_address(value: Any) -> str:
    """Return the address of exactly one recipient, without a name; empty for any other value.

    Args:
        value: a text such as `Bob <bob@example.edu>`, or a list with such texts.
    """
    texts = value if isinstance(value, list) else [value]
    if len(texts) != 1 or not isinstance(texts[0], str):
        return ""
    text = clean_text(texts[0])
    # A mail program can repeat the address as the name. Two addresses are two recipients.
    if "<" in text and len({one.lower() for one in MENTIONED_ADDRESS.findall(text)}) > 1:
        return ""
    address = strip_address(text)
    return address if ADDRESS_PATTERN.fullmatch(address) else ""
