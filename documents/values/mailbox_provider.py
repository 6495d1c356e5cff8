"""The mailbox provider of an address, by its domain. Pure.

Source: the lists of the providers' domains in validator.js (src/lib/normalizeEmail.js), which call
themselves incomplete. So the brands' country forms (hotmail.fr, yahoo.co.uk) match by a pattern.
AOL belongs to Yahoo. yahoo.co.jp is a company of its own.
"""

import re
from collections.abc import Collection

from documents.values.address_domain import to_canonical_domain

OWN_DOMAINS_PROVIDER, OTHER_PROVIDER = "own", "other"
_COUNTRY = r"(?:com|(?:com?\.)?[a-z]{2})"
PROVIDER_PATTERNS = {
    "gmail.com": re.compile(r"gmail\.com|googlemail\.com"),
    "outlook.com": re.compile(rf"(?:outlook|hotmail|live)\.{_COUNTRY}|msn\.com|passport\.com"),
    "yahoo.com": re.compile(
        rf"(?!yahoo\.co\.jp)(?:yahoo|aol)\.{_COUNTRY}|ymail\.com|rocketmail\.com|aim\.com"
    ),
    "icloud.com": re.compile(r"icloud\.com|me\.com|mac\.com"),
}


def find_mailbox_provider(address: str, own_domains: Collection[str] = ()) -> str:
    """Return the provider: "own", a large provider's main domain, or "other".

    Args:
        own_domains: the organization's canonical domains, which include their subdomains.
    """
    domain = to_canonical_domain(address.rpartition("@")[2])
    labels = domain.split(".")
    if any(".".join(labels[start:]) in own_domains for start in range(len(labels))):
        return OWN_DOMAINS_PROVIDER
    for provider, pattern in PROVIDER_PATTERNS.items():
        if pattern.fullmatch(domain):
            return provider
    return OTHER_PROVIDER
