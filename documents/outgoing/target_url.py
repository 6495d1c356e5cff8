"""URLs that may receive events. `address_rules.py` decides about the address behind the name."""

import re
from urllib.parse import urlsplit

from config.settings import get_settings
from documents.errors import Unacceptable

MAX_URL_LENGTH = 2000
# `urlsplit` removes some of these, so the URL that is called would differ from the stored one.
FORBIDDEN_PATTERN = re.compile(r"[\s\x00-\x1f\x7f]")


def check_target_url(url: str) -> str:
    """Return the URL if it may receive events.

    Raises:
        Unacceptable: it may not.
    """
    problem = find_url_problem(url)
    if problem:
        raise Unacceptable("/url", "url", problem)
    return url


def find_url_problem(url: str) -> str:
    """Return why a URL may not receive events, or nothing."""
    schemes = ("https", "http") if get_settings().webhook_private_networks else ("https",)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "Must be a valid URL."
    if FORBIDDEN_PATTERN.search(url):
        return "Must not contain spaces or control characters."
    if parts.scheme not in schemes or not host or len(url) > MAX_URL_LENGTH:
        return "Must be a URL that starts with https://."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "Must not contain a user name, a password or a fragment."
    return ""
