"""Admission: whom a provider may sign in, and with which role. Pure.

Only the organization's own domains admit new people, because the organization's admin configures
the provider, and the provider can assert any address.
"""

from collections.abc import Mapping
from typing import Any

from documents.access.roles import STAFF_ROLES, StaffRole
from documents.sign_on.person import Person, is_of_issuer
from documents.sign_on.policy import AdmissionPolicy
from documents.sign_on.rejections import SignOnRejected


def choose_role(
    person: Person,
    claims: Mapping[str, Any],
    policy: AdmissionPolicy,
    current_role: StaffRole | None,
) -> StaffRole:
    """Return the role with which a person is admitted.

    Args:
        current_role: role of an invited or present member; None for a new person.

    Raises:
        SignOnRejected: the person is not admitted.
    """
    if policy.mode == "invited":
        if current_role is None:
            raise SignOnRejected("not_invited")
        return current_role
    if current_role is None and person.domain not in policy.domains:
        raise SignOnRejected("domain_not_admitted")
    if policy.mode == "group":
        return _choose_role_by_group(claims, policy)
    return current_role or policy.default_role


def check_identity(
    person: Person, known_identity: str | None, *, has_other_client: bool = False
) -> None:
    """Check that a member with the person's address is the same person.

    A university can give an address to another person. The newcomer must not take over the member.

    Args:
        known_identity: identity of the member's last sign-in; None before the first one. One of
            another issuer does not matter, because the admin has changed the provider since then.
        has_other_client: whether that was with another client ID. Some providers, such as Microsoft
            Entra ID, give a person another ID for each client.

    Raises:
        SignOnRejected: the provider has given the address to another person.
    """
    if known_identity in (None, person.identity) or has_other_client:
        return
    if is_of_issuer(known_identity, person.issuer):
        raise SignOnRejected("person_changed")


def has_groups(claims: Mapping[str, Any], policy: AdmissionPolicy) -> bool:
    """Return whether the claims list the groups, or report that there are too many."""
    return policy.group_claim in claims or _is_overage(claims, policy.group_claim)


def _choose_role_by_group(claims: Mapping[str, Any], policy: AdmissionPolicy) -> StaffRole:
    groups = _read_groups(claims, policy.group_claim)
    roles = {role for group, role in policy.group_roles.items() if group in groups}
    if not roles:
        raise SignOnRejected("no_group")
    return max(roles, key=STAFF_ROLES.index)


def _read_groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return the groups, which compare exactly. A string is one group, also with commas in it."""
    if _is_overage(claims, name):
        raise SignOnRejected("groups_overage")
    given = claims.get(name)
    if given is None:
        raise SignOnRejected("groups_missing")
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise SignOnRejected("groups_unreadable")
    return frozenset(listed)


def _is_overage(claims: Mapping[str, Any], name: str) -> bool:
    """Return whether Microsoft Entra ID omitted the groups, because there are more than 200.

    Source: Microsoft, "Configure group claims for applications", groups overage claim.
    """
    elsewhere = claims.get("_claim_names")
    is_elsewhere = isinstance(elsewhere, dict) and name in elsewhere
    return is_elsewhere or claims.get("hasgroups") in (True, "true")
