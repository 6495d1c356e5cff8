"""The operator's choices for matching gifts and reading events."""

from dataclasses import dataclass, field

from documents.matching.policy import MatchPolicy
from documents.tracking.rules import MachineClickRule


@dataclass(frozen=True)
class SettlingPolicy:
    """Options that callers pass to settling, so that documents do not read the environment.

    matching: matching policy of organizations without their own.
    clicks: rule for clicks made by machines.
    """

    matching: MatchPolicy = field(default_factory=MatchPolicy)
    clicks: MachineClickRule = field(default_factory=MachineClickRule)
