"""Which clicks a machine made. Pure: no database, no clock.

Mail gateways follow the links of a message to see whether they are harmless, most of them under a
browser's name. What gives them away, in the order in which it is looked for:

- **agent**: the user agent names a mail gateway, or a crawler or script.
- **delivery**: the click is not later than the delivery. Events carry whole seconds, and nobody
  has read a message in the second in which their server took it.
- **burst**: several different links within a moment. People open one link, and then another;
  gateways open all of them. Clicking one link twice is what impatient people do, and is no burst.

A click depends on those up to `seconds` around it and on nothing else, whatever the order in which
they are reported.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from crawleruseragents import is_crawler

Reason = Literal["agent", "delivery", "burst"]

# Mail gateways say who they are seldom; those that do are no crawlers of the web, and are not in
# the crawlers' list. In lower case, anywhere in the user agent.
GATEWAYS = (
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
class Rule:
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
        return hashlib.sha256(repr((astuple(self), GATEWAYS)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Click:
    """One click on one email."""

    at: datetime
    url: str
    user_agent: str


def reasons(
    clicks: Sequence[Click], delivered_at: datetime | None, rule: Rule
) -> list[Reason | None]:
    """For each click of an email why it is a machine's, or None where it can be a person's."""
    order = sorted(range(len(clicks)), key=lambda index: clicks[index].at)
    times = [clicks[index].at for index in order]
    bursts = _bursts([clicks[index] for index in order], times, rule)
    found: list[Reason | None] = [None] * len(clicks)
    for place, index in enumerate(order):
        click = clicks[index]
        if is_machine(click.user_agent, rule.agents):
            found[index] = "agent"
        elif delivered_at is not None and click.at <= delivered_at:
            found[index] = "delivery"
        elif bursts[place]:
            found[index] = "burst"
    return found


def _bursts(clicks: Sequence[Click], times: Sequence[datetime], rule: Rule) -> list[bool]:
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
def is_machine(user_agent: str, also: tuple[str, ...] = ()) -> bool:
    """Whether a user agent names a mail gateway, a crawler, or a script."""
    lower = user_agent.lower()
    return any(part in lower for part in (*GATEWAYS, *also)) or is_crawler(user_agent)
