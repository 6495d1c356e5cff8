"""Rules for clicks that a machine made. Pure: no database, no clock.

Mail gateways follow the links of a message to check them, most of them under a browser's name.
These signs reveal them, in this order:

- **agent**: the user agent names a mail gateway, a crawler or a script.
- **delivery**: the click is not later than the delivery. Events carry whole seconds, and no person
  reads a message in the second in which their server accepted it.
- **burst**: several different links within a moment. People open one link, and then another;
  gateways open all of them. An impatient person clicks one link twice, which is no burst.
- **crowd**: more than `CROWD` clicks in one whole second, even on one link. These are labelled
  "burst" before the delivery is checked. So are, after it, the clicks within `seconds`.

A click depends on the clicks up to `seconds` around it and on nothing else, in whatever order they
are reported. Crowds are compared by whole seconds.

A crowd bounds the work of one click. Once a second has a crowd, its clicks keep their labels
whatever arrives. So `CROWD` + 1 of them are enough to judge all others.
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

# Mail gateways say who they are seldom; those that do are no crawlers of the web, and are not in
# the crawlers' list. In lower case, anywhere in the user agent.
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
    """How many different links, within how many seconds, are a burst (0: bursts are not looked
    for); and parts of user agents, in lower case, that are machines besides the known ones."""

    links: int = 3
    seconds: int = 2
    agents: tuple[str, ...] = ()

    @property
    def reach(self) -> timedelta:
        """How far apart clicks can matter to each other."""
        return timedelta(seconds=self.seconds)

    @property
    def fingerprint(self) -> str:
        """Changes when the rule does."""
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
    """For each click of an email why it is a machine's, or None where it can be a person's."""
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
    """Return the seconds in which more than CROWD clicks fall."""
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
    """Whether each of the clicks, in the order of their times, is part of a burst."""
    part = [False] * len(clicks)
    urls: Counter[str] = Counter()  # of the clicks from `first` up to `end`
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
    """Whether a user agent names a mail gateway, a crawler, or a script."""
    lower = user_agent.lower()
    return any(part in lower for part in (*GATEWAY_AGENTS, *also)) or is_crawler(user_agent)
