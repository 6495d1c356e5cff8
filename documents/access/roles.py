"""Roles of staff in one organization. Each role includes the earlier ones. Pure."""

from typing import Literal

StaffRole = Literal["viewer", "editor", "admin"]
STAFF_ROLES: tuple[StaffRole, ...] = ("viewer", "editor", "admin")


def includes_role(held: str, required: StaffRole) -> bool:
    """Return whether a role allows what another role allows. An unknown role allows nothing."""
    return held in STAFF_ROLES and STAFF_ROLES.index(held) >= STAFF_ROLES.index(required)
