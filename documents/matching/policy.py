"""The match policy: what an organization can choose about matching. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

TouchKind = Literal["clicked", "opened", "sent"]
TOUCH_PREFERENCE: tuple[TouchKind, ...] = ("clicked", "opened", "sent")


@dataclass(frozen=True)
class MatchPolicy:
    """How a gift that names no email of its fundraiser finds the one that led to it.

    window: how long after an email was sent a gift can be tied to it.
    prefer: an email that was clicked before the gift is preferred to one that was opened, that to
        one that was only sent. In another order, or with fewer: what is left out is not enough.
    touch: of equally good emails, the last one sent or the first.
    other_fundraiser: a gift that names an email of another fundraiser is matched to it, or that
        is noted and the donor's address decides.
    scope, version: which policy this is; kept with each decision.
    """

    window: timedelta = timedelta(days=30)
    prefer: tuple[TouchKind, ...] = TOUCH_PREFERENCE
    touch: Literal["first", "last"] = "last"
    other_fundraiser: Literal["note", "match"] = "note"
    scope: Literal["default", "organization", "fundraiser"] = "default"
    version: int = 0

    @property
    def reference(self) -> dict[str, Any]:
        """The form in which a decision names it."""
        return {"scope": self.scope, "version": self.version}
