"""What an operator may set of how gifts are matched and events are read."""

from dataclasses import dataclass, field

from documents.machine_clicks import Rule
from documents.match_policy import MatchPolicy


@dataclass(frozen=True)
class Policy:
    """Passed to whatever settles, so that no document reads the environment.

    matching: how gifts are matched, where the organization has not decided otherwise.
    clicks: which clicks were made by machines.
    """

    matching: MatchPolicy = field(default_factory=MatchPolicy)
    clicks: Rule = field(default_factory=Rule)
