"""Checks of the values that admins and operators enter for a provider. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from documents.access.roles import STAFF_ROLES
from documents.errors import Unacceptable
from documents.values.address_domain import to_canonical_domain

MAX_CLIENT_TEXT_LENGTH = 500
MAX_DOMAINS, MAX_GROUPS, MAX_SCOPES = 50, 500, 10
MAX_GROUP_LENGTH = 300
DOMAIN_PATTERN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.ASCII)
CLIENT_TEXT_PATTERN = re.compile(r"[\x21-\x7e]+", re.ASCII)
SCOPE_PATTERN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}", re.ASCII)  # RFC 6749, section 3.3


def check_text(text: str, field: str) -> str:
    """Return text of printable ASCII, which HTTP headers carry in one way only.

    Raises:
        Unacceptable: it has other characters, or is too long.
    """
    if len(text) > MAX_CLIENT_TEXT_LENGTH or not CLIENT_TEXT_PATTERN.fullmatch(text):
        words = f"Must be 1 to {MAX_CLIENT_TEXT_LENGTH} ASCII characters without spaces."
        raise Unacceptable(f"/{field}", "text", words)
    return text


def check_choice(value: Any, choices: tuple[str, ...], field: str) -> None:
    """Check that the value is one of the choices.

    Raises:
        Unacceptable: it is not.
    """
    if value not in choices:
        raise Unacceptable(f"/{field}", "choice", f"Must be one of {', '.join(choices)}.")


def check_groups(roles: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the stored form of the role of each group.

    Raises:
        Unacceptable: a group or a role is not valid, or there are too many.
    """
    if len(roles) > MAX_GROUPS or not all(0 < len(one) <= MAX_GROUP_LENGTH for one in roles):
        words = f"Must be at most {MAX_GROUPS} groups of at most {MAX_GROUP_LENGTH} characters."
        raise Unacceptable("/group_roles", "length", words)
    for role in roles.values():
        check_choice(role, STAFF_ROLES, "group_roles")
    return [{"group": group, "role": role} for group, role in roles.items()]


def check_scopes(scopes: list[str]) -> list[str]:
    """Return the names of scopes.

    Raises:
        Unacceptable: a name is not valid, or there are too many.
    """
    if len(scopes) > MAX_SCOPES or not all(map(SCOPE_PATTERN.fullmatch, scopes)):
        words = f"Must be at most {MAX_SCOPES} names of scopes."
        raise Unacceptable("/provider_scopes", "scope", words)
    return scopes


def check_domains(domains: Iterable[str]) -> list[str]:
    """Return the domains in canonical form.

    Raises:
        Unacceptable: a domain is not valid, or there are too many.
    """
    canonical = sorted({to_canonical_domain(one.strip()) for one in domains})
    if len(canonical) > MAX_DOMAINS or not all(map(DOMAIN_PATTERN.fullmatch, canonical)):
        words = f"Must be at most {MAX_DOMAINS} domains, such as example.edu."
        raise Unacceptable("/domains", "domain", words)
    return canonical
