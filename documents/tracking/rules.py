"""Rules for clicks that a machine made. Pure: no database, no clock.

Mail gateways follow the links of a message to check them, and most send a browser's user agent.
These signs reveal machines. The first sign that applies is the reason of the click:

- **trap**: the click is on the email's trap link, which people cannot see.
- **provider**: the provider reports that a machine clicked.
- **agent**: the user agent names a mail gateway, a crawler or a script.
- **burst** in a crowd: more than `MAX_CLICKS_PER_SECOND` clicks in one whole second, even on one
  link.
- **delivery**: the click is not later than the delivery. Events have whole seconds, and no person
  reads a message in the second of its delivery.
- **trap** nearby: the same user agent at the same IP address clicked the trap link of the same
  email within `TRAP_REACH_SECONDS`, before or after.
- **burst**: clicks on several different links within a moment. People open one link after another.
  Gateways open all of them. Two clicks on the same link are not a burst. Clicks within `seconds` of
  a crowd are a part of it.
- **cadence**: clicks on several different links at equal intervals.
- **shared_ip**: one IP address clicked for several recipients of a mailing within seconds. The
  caller finds out, because this sign compares emails.

A label depends only on the email's clicks up to `reach` around it, in any order of arrival, and on
its shared IP address. Crowds are compared by whole seconds.

A crowd limits the work for one click. The clicks of a crowd keep their labels when more events
arrive, and affect no labels except those near it. So `MAX_CLICKS_PER_SECOND` + 1 of them are enough
to judge all other clicks.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Literal

from documents.tracking.click_signs import (
    MAX_CADENCE_LENGTH,
    ONE_SECOND,
    find_bursts,
    find_cadences,
    find_crowds,
    has_near,
    is_near,
    truncate_to_second,
)
from documents.tracking.machine_agents import GATEWAY_AGENTS, is_machine_agent

MachineReason = Literal["trap", "provider", "agent", "delivery", "burst", "cadence", "shared_ip"]

MAX_CLICKS_PER_SECOND = 200
MAX_IP_CLICKS_PER_SECOND = 20  # of one IP address in one mailing
TRAP_REACH_SECONDS = 60
RULE_VERSION = 2  # changes with the signs, so that workers label stored clicks again


@dataclass(frozen=True)
class MachineClickRule:
    """The rule that decides which clicks a machine made.

    Attributes:
        links: minimum number of different links in a burst; 0 disables every comparison of clicks.
        seconds: maximum length of a burst.
        agents: lower-case parts of user agents that identify additional machines.
        recipients: minimum number of a mailing's recipients for whom one IP address clicks at once;
            0 disables this sign.
        recipient_seconds: maximum time between the first and the last of these clicks.
    """

    links: int = 3
    seconds: int = 2
    agents: tuple[str, ...] = ()
    recipients: int = 5
    recipient_seconds: int = 5

    @property
    def reach(self) -> timedelta:
        """Maximum time between clicks of one email that can affect each other's labels."""
        # A crowd covers whole seconds.
        return max(
            timedelta(seconds=self.seconds) + ONE_SECOND,
            timedelta(seconds=TRAP_REACH_SECONDS),
            MAX_CADENCE_LENGTH,
        )

    @property
    def compares_recipients(self) -> bool:
        """True if the rule compares clicks of several recipients."""
        return bool(self.links and self.recipients)

    @property
    def fingerprint(self) -> str:
        """Digest of the rule, which changes with the rule."""
        limits = MAX_CLICKS_PER_SECOND, MAX_IP_CLICKS_PER_SECOND, TRAP_REACH_SECONDS
        parts = astuple(self), GATEWAY_AGENTS, limits, RULE_VERSION
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Click:
    """One click on one email.

    Attributes:
        ip_key: stands for the IP address; equal for equal addresses, None if unknown.
        trap: whether the click is on the email's trap link.
        shares_ip: whether the address clicked for several recipients at once.
        reported: whether the provider reports that a machine clicked.
    """

    at: datetime
    url: str
    user_agent: str
    ip_key: bytes | None = None
    trap: bool = False
    shares_ip: bool = False
    reported: bool = False


def find_machine_reasons(
    clicks: Sequence[Click], delivered_at: datetime | None, rule: MachineClickRule
) -> list[MachineReason | None]:
    """Return the reason why each click is a machine's, or None if a person can have clicked."""
    order = sorted(range(len(clicks)), key=lambda index: clicks[index].at)
    signs = _Signs([clicks[index] for index in order], rule)
    found: list[MachineReason | None] = [None] * len(clicks)
    for place, index in enumerate(order):
        click = clicks[index]
        is_early = delivered_at is not None and click.at <= delivered_at
        found[index] = (
            _find_own_reason(click, rule)
            or (signs.is_in_crowd(click) and "burst")
            or (is_early and "delivery")
            or signs.find_reason(click, place)
        )
    return found


def _find_own_reason(click: Click, rule: MachineClickRule) -> MachineReason | None:
    """Return the reason that depends on no other event."""
    if click.trap:
        return "trap"
    if click.reported:
        return "provider"
    return "agent" if is_machine_agent(click.user_agent, rule.agents) else None


class _Signs:
    """The signs that compare the clicks of one email, which must be in order of time."""

    def __init__(self, clicks: Sequence[Click], rule: MachineClickRule) -> None:
        self.rule = rule
        self.crowds: set[datetime] = set()
        self.bursts = self.cadences = [False] * len(clicks)
        self._traps: dict[tuple[str, bytes | None], list[datetime]] = {}
        if not rule.links:
            return
        times, urls = [click.at for click in clicks], [click.url for click in clicks]
        self.crowds = find_crowds(times, MAX_CLICKS_PER_SECOND)
        self.bursts = find_bursts(times, urls, rule.links, timedelta(seconds=rule.seconds))
        self.cadences = find_cadences(times, urls, self.crowds)
        for click in clicks:
            # A trap link in a crowd affects no other click, because it may not have been read.
            if click.trap and truncate_to_second(click.at) not in self.crowds:
                self._traps.setdefault((click.user_agent, click.ip_key), []).append(click.at)

    def is_in_crowd(self, click: Click) -> bool:
        """Return whether the click is in a crowd."""
        return bool(self.crowds) and truncate_to_second(click.at) in self.crowds

    def find_reason(self, click: Click, place: int) -> MachineReason | None:
        """Return the reason that depends on clicks outside crowds."""
        if self._is_trapped(click):
            return "trap"
        if self.bursts[place] or is_near(click.at, self.crowds, self.rule.seconds):
            return "burst"
        if self.cadences[place]:
            return "cadence"
        return "shared_ip" if click.shares_ip and self.rule.compares_recipients else None

    def _is_trapped(self, click: Click) -> bool:
        """Return whether the same client clicked the trap link shortly before or after."""
        if not self._traps:
            return False
        times = self._traps.get((click.user_agent, click.ip_key), ())
        return has_near(times, click.at, timedelta(seconds=TRAP_REACH_SECONDS))
