"""Locales: BCP 47 tags that CLDR has data for, such as de-DE."""

import re
from functools import lru_cache

DEFAULT_LOCALE = "en-US"
# A language, then a script, a region and variants. CLDR's extensions are not supported.
TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{3,8}|-[A-Za-z]{2})*", re.ASCII)
LONGEST_TAG = 35  # RFC 5646, section 4.4.1


@lru_cache(256)
def canonical_locale(tag: str) -> str | None:
    """Return the tag in CLDR's spelling; None if CLDR has no such locale."""
    from babel import Locale, UnknownLocaleError

    if len(tag) > LONGEST_TAG or not TAG.fullmatch(tag):
        return None
    try:
        return str(Locale.parse(tag, sep="-")).replace("_", "-")
    except (UnknownLocaleError, ValueError):
        return None
