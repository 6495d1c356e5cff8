"""Rules that an organization's admin sets for single sign-on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from documents.access.roles import StaffRole

AdmissionMode = Literal["invited", "domain", "group"]
ADMISSION_MODES: tuple[AdmissionMode, ...] = ("invited", "domain", "group")


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """The rules by which people are admitted.

    Attributes:
        domains: canonical domains that the operator has verified.
        default_role: role of a new person who is admitted by domain.
        group_claim: claim that lists the person's groups.
        group_roles: role of each group. A person with several groups gets the highest role.
        accepts_missing_verification: accept addresses of `domains` without `email_verified`.
    """

    mode: AdmissionMode = "invited"
    domains: frozenset[str] = frozenset()
    default_role: StaffRole = "viewer"
    group_claim: str = "groups"
    group_roles: Mapping[str, StaffRole] = field(default_factory=dict)
    accepts_missing_verification: bool = False
