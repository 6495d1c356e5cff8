"""Simulate the clicks of a mailing with planted gateways, and judge them with the rule.

The output shows which machine clicks the rule misses and which clicks of people it loses. Shares
and delays are estimates. They describe a mailing to a university's alumni and staff.
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from documents.tracking.click_signs import find_shared
from documents.tracking.rules import (
    MAX_IP_CLICKS_PER_SECOND,
    Click,
    MachineClickRule,
    find_machine_reasons,
)

SENT_AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
EMAILS_PER_SECOND = 100
LINKS = ("give", "story", "events", "faq", "unsubscribe")
TRAP = "trap"
CAMPUS_ADDRESSES, CARRIER_ADDRESSES, GATEWAY_ADDRESSES = 6, 200, 4
AGENTS = [f"Mozilla/5.0 (browser {number})" for number in range(12)]
AGENT_WEIGHTS = [30, 20, 12, 10, 8, 6, 5, 3, 2, 2, 1, 1]
CLICK_RATE = 0.04  # people who click, of all
GATEWAY_RATE = 0.3  # recipients behind a gateway
HOUR = 3600.0

Moment = tuple[float, str]  # seconds after delivery, and a link


@dataclass(frozen=True)
class SimulatedClick:
    """One click, and what made it: a kind of person or of machine."""

    email: int
    kind: str
    is_machine: bool
    click: Click


@dataclass
class SimulatedMailing:
    """The clicks of a mailing, and the delivery time of each email."""

    delivered: dict[int, datetime] = field(default_factory=dict)
    clicks: list[SimulatedClick] = field(default_factory=list)


class _Simulation:
    def __init__(self, seed: int, recipients: int, *, has_trap: bool, campus_share: float) -> None:
        self.chance = random.Random(seed)
        self.recipients = recipients
        self.links = [*LINKS, TRAP] if has_trap else [*LINKS]
        self.campus_share = campus_share
        self.mailing = SimulatedMailing()

    def run(self) -> SimulatedMailing:
        for email in range(self.recipients):
            after = email / EMAILS_PER_SECOND + self.chance.lognormvariate(1, 0.7)
            self.mailing.delivered[email] = _whole_second(SENT_AT + timedelta(seconds=after))
            if self.chance.random() < GATEWAY_RATE:
                self._scan(email)
            if self.chance.random() < CLICK_RATE:
                self._read(email)
        return self.mailing

    def _read(self, email: int) -> None:
        """Add the clicks of the recipient, and of a friend to whom the recipient forwards."""
        chance = self.chance
        opened = chance.expovariate(1 / (6 * HOUR)) + 5 if chance.random() < 0.8 else 0
        opened = opened or chance.uniform(10, 600)  # at a screen when the message arrives
        self._click_as_person(email, opened)
        if chance.random() < 0.02:
            self._click_as_person(email, opened + chance.expovariate(1 / HOUR) + 60, "friend")

    def _click_as_person(self, email: int, opened: float, kind: str = "") -> None:
        chance = self.chance
        habits = ["one link", "double click", "several links", "opens tabs"]
        habit = chance.choices(habits, [80, 10, 9, 1])[0]
        first = opened + chance.lognormvariate(2.5, 0.8)
        moments = [(first, chance.choices(LINKS, [60, 20, 10, 5, 5])[0])]
        if habit == "double click":
            moments.append((first + chance.uniform(0.2, 1), moments[0][1]))
        elif habit == "several links":
            moments += self._further(first, chance.choice([1, 1, 2, 3]), lambda: 3 + self._pause(3))
        elif habit == "opens tabs":
            moments += self._further(first, 2, lambda: chance.uniform(0.8, 4))
        address, agent = self._address(), self._agent()
        for moment in moments:
            self._add(email, kind or habit, moment, address, agent)
        # A gateway that checks links at the time of a click opens the same link at that moment.
        if not kind and chance.random() < 0.03:
            at = first - chance.uniform(0, 1.5)
            where = f"checker {chance.randrange(GATEWAY_ADDRESSES)}"
            self._add(email, "checks a person's click", (at, moments[0][1]), where, agent, True)

    def _pause(self, median_log: float) -> float:
        return self.chance.lognormvariate(median_log, 0.9)

    def _further(self, first: float, number: int, pause: Callable[[], float]) -> Iterator[Moment]:
        for link in self.chance.sample(LINKS, number):
            first += pause()
            yield first, link

    def _address(self) -> str:
        kind, chance = self.chance.random(), self.chance
        if kind < self.campus_share:
            return f"campus {chance.randrange(CAMPUS_ADDRESSES)}"
        if kind < self.campus_share + 0.2:
            return f"carrier {chance.randrange(CARRIER_ADDRESSES)}"
        return f"home {chance.getrandbits(40)}"

    def _agent(self) -> str:
        return self.chance.choices(AGENTS, AGENT_WEIGHTS)[0]

    def _scan(self, email: int) -> None:
        """Add the clicks of the gateway of this recipient. Each kind has its own addresses."""
        kinds = list(GATEWAYS)
        kind = self.chance.choices(kinds, [GATEWAYS[name][0] for name in kinds])[0]
        address = f"{kind} {self.chance.randrange(GATEWAY_ADDRESSES)}"
        agent = self._agent()
        for moment in GATEWAYS[kind][1](self):
            if kind == "rotates":
                address, agent = f"rotates {self.chance.getrandbits(40)}", self._agent()
            named = "Mimecast/2.0" if kind == "names itself" else agent
            self._add(email, kind, moment, address, named, True)

    def _add(
        self,
        email: int,
        kind: str,
        moment: Moment,
        address: str,
        agent: str,
        is_machine: bool = False,
    ) -> None:
        at = _whole_second(self.mailing.delivered[email] + timedelta(seconds=moment[0]))
        click = Click(at, moment[1], agent, address.encode(), trap=moment[1] == TRAP)
        self.mailing.clicks.append(SimulatedClick(email, kind, is_machine, click))

    def all_at_once(self, delay: float) -> Iterator[Moment]:
        """Yield clicks on all links within two seconds."""
        for link in self.links:
            yield delay + self.chance.uniform(0, 1.2), link

    def one_by_one(self, delay: float) -> Iterator[Moment]:
        """Yield clicks on all links at a steady pace."""
        gap = self.chance.uniform(2, 15)
        for place, link in enumerate(self.chance.sample(self.links, len(self.links))):
            yield delay + place * gap + self.chance.uniform(0, 0.2), link

    def some_links(self, number: int, delay: float, pause: float) -> Iterator[Moment]:
        """Yield clicks on some links, with irregular pauses."""
        for link in self.chance.sample(self.links, number):
            yield delay, link
            delay += self.chance.expovariate(1 / pause) + 1


# Each kind of gateway, with its weight among the recipients behind gateways.
GATEWAYS: dict[str, tuple[int, Callable[[_Simulation], Iterator[Moment]]]] = {
    "all links at once": (42, lambda s: s.all_at_once(s.chance.uniform(0, 20))),
    "names itself": (12, lambda s: s.some_links(3, s.chance.uniform(0, 60), 5)),
    "all links, delayed": (18, lambda s: s.all_at_once(s.chance.uniform(60, 6 * HOUR))),
    "slow": (14, lambda s: s.one_by_one(s.chance.uniform(5, 300))),
    "one link": (8, lambda s: s.some_links(1, s.chance.uniform(0, 30), 1)),
    "rotates": (6, lambda s: s.some_links(3, s.chance.uniform(5, 600), 10)),
}


def simulate_mailing(
    seed: int, recipients: int, *, has_trap: bool = True, campus_share: float = 0.25
) -> SimulatedMailing:
    """Return the clicks of a mailing.

    Args:
        has_trap: whether each email contains a trap link.
        campus_share: share of the people behind the addresses of the campus.
    """
    simulation = _Simulation(seed, recipients, has_trap=has_trap, campus_share=campus_share)
    return simulation.run()


def judge_mailing(mailing: SimulatedMailing, rule: MachineClickRule) -> list[str | None]:
    """Return the reason of each click, as if all clicks had arrived."""
    shared = _find_shared(mailing.clicks, rule)
    by_email: defaultdict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(mailing.clicks):
        by_email[one.email].append(place)
    reasons: list[str | None] = [None] * len(mailing.clicks)
    for email, places in by_email.items():
        clicks = [
            replace(mailing.clicks[place].click, shares_ip=place in shared) for place in places
        ]
        found = find_machine_reasons(clicks, mailing.delivered[email], rule)
        for place, reason in zip(places, found, strict=True):
            reasons[place] = reason
    return reasons


def _find_shared(clicks: Sequence[SimulatedClick], rule: MachineClickRule) -> set[int]:
    by_address: defaultdict[bytes | None, list[int]] = defaultdict(list)
    for place, one in enumerate(clicks):
        by_address[one.click.ip_key].append(place)
    found: set[int] = set()
    for places in by_address.values() if rule.compares_recipients else ():
        places.sort(key=lambda place: clicks[place].click.at)
        shared = find_shared(
            [clicks[place].click.at for place in places],
            [clicks[place].email for place in places],
            rule.recipients,
            rule.recipient_seconds,
            MAX_IP_CLICKS_PER_SECOND,
        )
        found.update(place for place, is_shared in zip(places, shared, strict=True) if is_shared)
    return found


@dataclass(frozen=True)
class Accuracy:
    """The result for one mailing, by kind: the number of clicks, and those that are wrong."""

    total: Counter[tuple[bool, str]]
    wrong: Counter[tuple[bool, str]]

    def recognized(self) -> float:
        """Return the share of machine clicks that the rule recognizes."""
        return 1 - self._share_of_wrong(True)

    def lost(self) -> float:
        """Return the share of people's clicks that the rule gives to machines."""
        return self._share_of_wrong(False)

    def _share_of_wrong(self, is_machine: bool) -> float:
        wrong, total = (
            sum(number for (machine, _), number in counted.items() if machine == is_machine)
            for counted in (self.wrong, self.total)
        )
        return wrong / total if total else 0.0

    def lines(self) -> Iterator[str]:
        """Yield a line for each kind."""
        for kind, total in sorted(self.total.items()):
            name = "machine" if kind[0] else "person"
            share = self.wrong[kind] / total
            yield f"{name:8} {kind[1]:24} {total:7} clicks, {self.wrong[kind]:6} wrong, {share:.1%}"


def measure_accuracy(mailing: SimulatedMailing, rule: MachineClickRule) -> Accuracy:
    """Compare the labels with the truth."""
    total: Counter[tuple[bool, str]] = Counter()
    wrong: Counter[tuple[bool, str]] = Counter()
    for one, reason in zip(mailing.clicks, judge_mailing(mailing, rule), strict=True):
        total[one.is_machine, one.kind] += 1
        wrong[one.is_machine, one.kind] += bool(reason) != one.is_machine
    return Accuracy(total, wrong)


def _whole_second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--recipients", type=int, default=50_000)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--campus", type=float, default=0.25)
    options.add_argument("--no-trap", action="store_true")
    given = options.parse_args()
    for seed in range(given.seeds):
        mailing = simulate_mailing(
            seed, given.recipients, has_trap=not given.no_trap, campus_share=given.campus
        )
        result = measure_accuracy(mailing, MachineClickRule())
        head = f"seed {seed}: {result.recognized():.2%} recognized, {result.lost():.2%} lost"
        print("\n".join([head, *result.lines()]))  # noqa: T201


if __name__ == "__main__":
    main()
