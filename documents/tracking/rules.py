"""Rules for clicks that a machine made. Pure: no database, no clock.

Mail gateways follow the links of a message to check them, and most send a browser's user agent.
These signs reveal machines, in this order:

- **agent**: the user agent names a mail gateway, a crawler or a script.
- **delivery**: the click is not later than the delivery. Events have whole seconds, and no person
  reads a message in the second of its delivery.
- **burst**: clicks on several different links within a moment. People open one link after another.
  Gateways open all of them. Two clicks on the same link are not a burst.
- **crowd**: more than `MAX_CLICKS_PER_SECOND` clicks in one whole second, even on one link. Clicks
  in a crowd get the label "burst" before the delivery is checked. Clicks within `seconds` of a
  crowd get the label afterwards.

A label depends only on the clicks up to `seconds` around it, in any order of arrival. Crowds are
compared by whole seconds.

A crowd limits the work for one click. The clicks of a crowd keep their labels when more events
arrive. So `MAX_CLICKS_PER_SECOND` + 1 of them are enough to judge all other clicks.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from crawleruseragents import is_crawler

MachineReason = Literal["agent", "delivery", "burst"]

MAX_CLICKS_PER_SECOND = 200
ONE_SECOND = timedelta(seconds=1)

# Lower-case parts of user agents. Few mail gateways identify themselves. Those that do are not web
# crawlers, so the list of crawlers lacks them.
GATEWAY_AGENTS = (
    "barracuda",
    "cisco-ironport",
    "fireeye",
    "forcepoint",
    "mailcontrol",
    "messagelabs",
    "mimecast",
    "proofpoint",
    "sophos",
    "symantec",
    "trendmicro",
    "trend micro",
    "zscaler",
)


@dataclass(frozen=True)
class MachineClickRule:
    """The rule that decides which clicks a machine made.

    Attributes:
        links: minimum number of different links in a burst; 0 disables bursts.
        seconds: maximum length of a burst.
        agents: lower-case parts of user agents that identify additional machines.
    """

    links: int = 3
    seconds: int = 2
    agents: tuple[str, ...] = ()

    @property
    def reach(self) -> timedelta:
        """Maximum time between clicks that can affect each other's labels."""
        return timedelta(seconds=self.seconds)

    @property
    def fingerprint(self) -> str:
        """Digest of the rule, which changes with the rule."""
        return hashlib.sha256(
            repr((astuple(self), GATEWAY_AGENTS, MAX_CLICKS_PER_SECOND)).encode()
        ).hexdigest()[:16]


@dataclass(frozen=True)
class Click:
    """One click on one email."""

    at: datetime
    url: str
    user_agent: str


def find_machine_reasons(
    clicks: Sequence[Click], delivered_at: datetime | None, rule: MachineClickRule
) -> list[MachineReason | None]:
    """Return the reason why each click is a machine's, or None if a person can have clicked."""
    order = sorted(range(len(clicks)), key=lambda index: clicks[index].at)
    times = [clicks[index].at for index in order]
    bursts = _bursts([clicks[index] for index in order], times, rule)
    crowds = _crowds(times) if rule.links else set()
    found: list[MachineReason | None] = [None] * len(clicks)
    for place, index in enumerate(order):
        click = clicks[index]
        if is_machine_agent(click.user_agent, rule.agents):
            found[index] = "agent"
        elif truncate_to_second(click.at) in crowds:
            found[index] = "burst"
        elif delivered_at is not None and click.at <= delivered_at:
            found[index] = "delivery"
        elif bursts[place] or (crowds and _is_near(click.at, crowds, rule)):
            found[index] = "burst"
    return found


def truncate_to_second(at: datetime) -> datetime:
    """Return the start of the second."""
    return at.replace(microsecond=0)


def _crowds(times: Sequence[datetime]) -> set[datetime]:
    """Return the seconds that have a crowd of clicks."""
    return {
        second
        for second, number in Counter(map(truncate_to_second, times)).items()
        if number > MAX_CLICKS_PER_SECOND
    }


def _is_near(at: datetime, crowds: set[datetime], rule: MachineClickRule) -> bool:
    near = range(-rule.seconds, rule.seconds + 1)
    return any(truncate_to_second(at) + number * ONE_SECOND in crowds for number in near)


def _bursts(
    clicks: Sequence[Click], times: Sequence[datetime], rule: MachineClickRule
) -> list[bool]:
    """Return whether each click is part of a burst. The clicks must be in order of time."""
    part = [False] * len(clicks)
    urls: Counter[str] = Counter()  # counts of the URLs between `first` and `end`
    end = marked = 0
    for first, click in enumerate(clicks if rule.links else ()):
        while end < len(clicks) and times[end] <= times[first] + rule.reach:
            urls[clicks[end].url] += 1
            end += 1
        if len(urls) >= rule.links:
            begin = max(first, marked)
            part[begin:end] = [True] * (end - begin)
            marked = end
        urls[click.url] -= 1
        if not urls[click.url]:
            del urls[click.url]
    return part


@lru_cache(maxsize=10_000)
def is_machine_agent(user_agent: str, also: tuple[str, ...] = ()) -> bool:
    """Return whether a user agent names a mail gateway, a crawler or a script."""
    lower = user_agent.lower()
    return any(part in lower for part in (*GATEWAY_AGENTS, *also)) or is_crawler(user_agent)
