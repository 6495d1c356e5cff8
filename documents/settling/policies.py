"""The operator's choices for matching gifts and reading events."""

from dataclasses import dataclass, field

from documents.matching.policy import MatchPolicy
from documents.tracking.rules import MachineClickRule


@dataclass(frozen=True)
class SettlingPolicy:
    """Passed to whatever settles, so that no document reads the environment.

    matching: how gifts are matched, where the organization has not decided otherwise.
    clicks: which clicks were made by machines.
    """

    matching: MatchPolicy = field(default_factory=MatchPolicy)
    clicks: MachineClickRule = field(default_factory=MachineClickRule)
