"""What an operator may set of how gifts are matched and events are read."""

from dataclasses import dataclass, field
from datetime import timedelta

from documents.machine_clicks import Rule


@dataclass(frozen=True)
class Policy:
    """Passed to whatever settles, so that no document reads the environment.

    window: how long after an email was sent a gift can be tied to it by its donor's address.
    clicks: which clicks were made by machines.
    """

    window: timedelta = timedelta(days=30)
    clicks: Rule = field(default_factory=Rule)
