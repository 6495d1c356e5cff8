"""Domain of an address, in the one form that DNS uses. Pure."""

from functools import lru_cache

import idna

from documents.values.invisible_characters import remove_invisible

# Full stops of other scripts that UTS 46 allows in domain names.
DOT_REPLACEMENTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))
MAX_LABEL_LENGTH = 63
A_LABEL_PREFIX = "xn--"
DOMAIN_CACHE_SIZE = 1024


@lru_cache(maxsize=DOMAIN_CACHE_SIZE)
def to_canonical_domain(domain: str) -> str:
    """Return the domain in lower-case ASCII, with IDNA 2008's A-labels.

    Labels that IDNA does not allow stay unchanged. "weiß.de" and "weiss.de" are two domains.
    """
    dotted = domain.translate(DOT_REPLACEMENTS).lower()
    return ".".join(map(_canonical_label, dotted.split(".")))


def to_readable_domain(domain: str) -> str:
    """Return a canonical domain as people write it, with its Unicode letters."""
    return ".".join(map(_readable_label, domain.split("."))) if A_LABEL_PREFIX in domain else domain


def _readable_label(label: str) -> str:
    if not label.startswith(A_LABEL_PREFIX) or len(label) > MAX_LABEL_LENGTH:
        return label
    try:
        return label.removeprefix(A_LABEL_PREFIX).encode().decode("punycode")
    except (ValueError, OverflowError):
        return label


def _canonical_label(label: str) -> str:
    if len(label) > MAX_LABEL_LENGTH:
        return label  # not a DNS label, and encoding takes time quadratic in its length
    if label.startswith(A_LABEL_PREFIX):
        return _without_joiners(label)
    return label if label.isascii() else _encoded(label)


def _encoded(label: str) -> str:
    try:
        mapped = idna.uts46_remap(label, std3_rules=False, transitional=False)
        if mapped.isascii():
            return mapped
        return A_LABEL_PREFIX + mapped.encode("punycode").decode()
    except (idna.IDNAError, ValueError):
        return label


def _without_joiners(label: str) -> str:
    """Return an A-label without joiners, which the Unicode form loses."""
    try:
        decoded = label.removeprefix(A_LABEL_PREFIX).encode().decode("punycode")
    except (ValueError, OverflowError):
        return label
    visible = remove_invisible(decoded)
    return label if visible == decoded else _encoded(visible)
