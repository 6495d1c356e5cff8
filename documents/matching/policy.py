"""The match policy: an organization's or fundraiser's choices for matching. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

TouchKind = Literal["clicked", "opened", "sent"]
TOUCH_PREFERENCE: tuple[TouchKind, ...] = ("clicked", "opened", "sent")


@dataclass(frozen=True)
class MatchPolicy:
    """The rules for gifts that do not name an email of their fundraiser.

    Attributes:
        window: the longest time between sending an email and a gift that can match it.
        prefer: the accepted touches before the gift, in order of preference. An email whose best
            touch is not listed cannot match.
        touch: which email wins among equally preferred ones: the first or the last one sent.
        other_fundraiser: the effect of naming another fundraiser's email. `match` matches the gift
            to it. `note` records the email, and the donor's address decides.
        scope: the owner of the policy. Each decision stores it.
        version: the policy's version within its scope. Each decision stores it.
    """

    window: timedelta = timedelta(days=30)
    prefer: tuple[TouchKind, ...] = TOUCH_PREFERENCE
    touch: Literal["first", "last"] = "last"
    other_fundraiser: Literal["note", "match"] = "note"
    scope: Literal["default", "organization", "fundraiser"] = "default"
    version: int = 0

    @property
    def reference(self) -> dict[str, Any]:
        """The policy's scope and version, as decisions store them."""
        return {"scope": self.scope, "version": self.version}
