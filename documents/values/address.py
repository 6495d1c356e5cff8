"""Email addresses. One mailbox has many spellings, and `to_canonical` gives all of them one key.

The service stores and shows the form of `strip_address`. It compares and indexes the canonical
form.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache

from documents.values.address_domain import to_canonical_domain, to_readable_domain
from documents.values.address_parts import unquote_local_part, unwrap_address
from documents.values.invisible_characters import remove_invisible, remove_odd_spaces

# Deliberately loose: an unusual address must not block a gift.
ADDRESS_PATTERN = re.compile(r"[^@\s]+@[^@\s]+")
# Nearly all addresses have this form. Their key is the address in lower case.
PLAIN_ADDRESS_PATTERN = re.compile(
    r"[\w.!#$%&'*+/=?^`{|}~-]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*", re.ASCII
)
LONE_SURROGATE_PATTERN = re.compile(r"[\ud800-\udfff]")
MAX_CANONICAL_ROUNDS = 4
ADDRESS_CACHE_SIZE, MAX_CACHED_ADDRESS_LENGTH = 4096, 320
MAX_ADDRESS_LENGTH = 254
MAX_NORMALIZED_LENGTH = (
    2000  # sorting the combining marks of a longer text takes time quadratic in its length
)
CAPITAL_SIGMA, FINAL_SIGMA, SIGMA = "\u03a3", "\u03c2", "\u03c3"


def is_address(text: str) -> bool:
    """Return whether the text, after cleaning, can be an address."""
    return ADDRESS_PATTERN.fullmatch(strip_address(text)) is not None


def has_one_reading(address: str) -> bool:
    """Return whether all programs read the address alike.

    It may have capitals and the Unicode form of a domain. Mail servers can deliver other spellings,
    such as a full-width letter or the Kelvin sign for K, to another mailbox than the canonical one.
    """
    known = to_canonical(address)
    local, _, domain = known.rpartition("@")
    spelled_local, _, spelled_domain = address.lower().rpartition("@")
    return (
        is_address(address)
        and strip_address(address) == address
        and unicodedata.is_normalized("NFKC", address)  # lower() turns the Kelvin sign into k
        and local == spelled_local
        and spelled_domain in (domain, to_readable_domain(domain))
    )


def strip_address(text: str) -> str:
    """Return the address as its sender spells it, without surrounding or hidden characters.

    It removes invisible characters, no-break and similar spaces, `mailto:`, `Name <…>`, outer
    quotes and punctuation. Letters keep their case and width.
    """
    return text if PLAIN_ADDRESS_PATTERN.fullmatch(text) else unwrap_address(text)


def to_canonical(address: str) -> str:
    """Return the key that all spellings of one mailbox share.

    Letters lose case and width (NFKC), and a domain becomes ASCII (IDNA 2008). Letters that only
    look or sound alike stay different: "weiß" is not "weiss". A second call changes nothing.
    """
    if PLAIN_ADDRESS_PATTERN.fullmatch(address) and "xn--" not in (lower := address.lower()):
        return lower
    return (
        _remembered(address) if len(address) <= MAX_CACHED_ADDRESS_LENGTH else _canonical(address)
    )


def to_mailbox(address: str) -> str:
    """Return the canonical address without its `+tag`, which the mailbox's owner chose.

    Matching finds people by mailbox. RFC 5233 calls the tag a detail. Dots stay, because most
    servers distinguish them, and two people must not become one.
    """
    known = to_canonical(address)
    if "+" not in known:
        return known
    local, at, domain = known.rpartition("@")
    owner = local.partition("+")[0]
    if not owner or local.startswith('"'):
        return known
    return f"{owner}{at}{domain}"


def pseudonymize_address(address: str) -> str:
    """Return 24 hex digits that replace an address that must not be stored."""
    return hashlib.sha256(to_canonical(address).encode()).hexdigest()[:24]


def fold_text(text: str) -> str:
    """Return the text without case, outer space and differences of Unicode form.

    Earlier layouts used this form as the key of an address, and stored rows may still have it.
    """
    stripped = text.strip()
    if stripped.isascii():
        return stripped.lower()
    if len(stripped) > MAX_NORMALIZED_LENGTH:
        return stripped.casefold()
    composed = unicodedata.normalize("NFC", stripped)
    return unicodedata.normalize("NFC", composed.casefold())


def _canonical(address: str) -> str:
    """Return the canonical form, simplified until nothing changes, so that a key is its own key.

    A text that still changes after a few rounds is not an address. It keeps its simplest form.
    """
    unwrapped = unwrap_address(address)
    # Unwrap the address first, because NFKC can insert a space, as for U+00B4.
    known = simple = _simplified(unwrapped if ADDRESS_PATTERN.fullmatch(unwrapped) else address)
    if len(simple) > MAX_NORMALIZED_LENGTH:
        return simple
    for _ in range(MAX_CANONICAL_ROUNDS):
        before, known = known, _round(known)
        if known == before:
            return known
    return simple


_remembered = lru_cache(maxsize=ADDRESS_CACHE_SIZE)(_canonical)


def _round(text: str) -> str:
    address = unwrap_address(text)
    if not ADDRESS_PATTERN.fullmatch(address):
        return _simplified(text)
    local, _, domain = address.rpartition("@")
    # The final sigma is only a spelling rule: both sigmas share one capital.
    return _simplified(
        f"{unquote_local_part(local).replace(FINAL_SIGMA, SIGMA)}@{to_canonical_domain(domain)}"
    )


def _simplified(text: str) -> str:
    """Return the text in lower case and, unless it is too long for an address, in NFKC."""
    seen = remove_odd_spaces(remove_invisible(text)).strip()
    if seen.isascii():
        return seen.lower()
    lower = _lower(LONE_SURROGATE_PATTERN.sub("\ufffd", seen))
    if len(lower) > MAX_NORMALIZED_LENGTH:
        return lower
    composed = _lower(unicodedata.normalize("NFKC", lower))
    return unicodedata.normalize("NFKC", composed).strip()


def _lower(text: str) -> str:
    """Return lower case that does not depend on a letter's neighbours."""
    return text.replace(CAPITAL_SIGMA, SIGMA).lower()
