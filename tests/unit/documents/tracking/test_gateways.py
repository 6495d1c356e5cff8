"""Signs of mail gateways with the user agents of browsers: trap links, cadences, shared addresses.

Alice sends a mailing. Bob reads it behind a gateway.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.tracking import click_labels, rules
from documents.tracking.click_signs import ONE_SECOND, find_shared
from documents.tracking.rules import Click, MachineClickRule, find_machine_reasons
from tools.bench.machine_clicks import measure_accuracy, simulate_mailing

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULE = MachineClickRule()
CHROME, SAFARI = "Mozilla/5.0 Chrome/120", "Mozilla/5.0 Safari/605"
GATEWAY, HOME = b"gateway", b"home"


def click(seconds: float, url: str = "a", agent: str = CHROME, ip: bytes | None = HOME) -> Click:
    return Click(NOON + timedelta(seconds=seconds), url, agent, ip, trap=url == "trap")


def reasons(*clicks: Click, rule: MachineClickRule = RULE) -> list[str | None]:
    return list(find_machine_reasons(clicks, None, rule))


def test_the_trap_link_reveals_the_other_clicks_of_its_client() -> None:
    trap = click(100, "trap", ip=GATEWAY)
    same = [click(seconds, ip=GATEWAY) for seconds in (39, 40, 160, 161)]
    assert reasons(trap, *same) == ["trap", None, "trap", "trap", None]


def test_the_trap_link_says_nothing_about_other_clients() -> None:
    bob = [click(101), click(102, agent=SAFARI, ip=GATEWAY), click(103, ip=None)]
    assert reasons(click(100, "trap", ip=GATEWAY), *bob) == ["trap", None, None, None]


def test_clients_without_known_addresses_are_compared_by_user_agent() -> None:
    trap = click(100, "trap", ip=None)
    assert reasons(trap, click(110, ip=None), click(111, agent=SAFARI, ip=None)) == [
        "trap",
        "trap",
        None,
    ]


def test_without_comparisons_the_trap_link_reveals_itself_only() -> None:
    rule = MachineClickRule(links=0)
    assert reasons(click(100, "trap"), click(101), rule=rule) == ["trap", None]


def test_a_trap_link_in_a_crowd_reveals_no_other_click() -> None:
    """A worker may read only a part of a crowd."""
    crowd = [click(100)] * rules.MAX_CLICKS_PER_SECOND
    assert reasons(*crowd, click(100, "trap"), click(130))[-2:] == ["trap", None]


@pytest.mark.parametrize(
    ("seconds", "is_machine"),
    [
        ((0, 5, 10), True),
        ((0, 30, 60), True),
        ((0, 31, 62), False),  # too slow
        ((0, 2, 4), False),  # people open tabs at this pace
        ((0, 5, 11), False),
        ((0, 5, 11, 16), True),  # 5.4 seconds in whole seconds
        ((0, 1, 3, 4), True),
        ((0, 5, 11, 18), False),
        ((0, 20, 40, 60, 80, 100), True),
    ],
)
def test_different_links_at_equal_intervals_are_a_machines(
    seconds: tuple[int, ...], is_machine: bool
) -> None:
    clicks = [click(at, f"link {at}", ip=None) for at in seconds]
    expected = ["cadence" if is_machine else None] * len(clicks)
    assert reasons(*clicks) == expected
    assert reasons(*reversed(clicks)) == expected


def test_repeated_clicks_on_a_link_are_no_cadence() -> None:
    assert set(reasons(click(0, "a"), click(5, "b"), click(10, "a"))) == {None}
    # Two requests for each link are one click.
    twice = [click(at, url) for at, url in ((0, "a"), (5, "b"), (10, "c"))] * 2
    assert set(reasons(*twice)) == {"cadence"}


def test_a_provider_that_knows_the_machine_is_believed() -> None:
    assert reasons(Click(NOON, "a", CHROME, reported=True)) == ["provider"]


def test_a_providers_knowledge_survives_a_new_judgement() -> None:
    arriving: Any = {"at": NOON, "type": "click", "machine": True}
    assert click_labels._to_click(arriving).reported
    assert click_labels._to_click(arriving | {"machine_reason": "provider"}).reported
    assert not click_labels._to_click(arriving | {"machine_reason": "burst"}).reported


def test_an_address_of_several_recipients_is_a_machines() -> None:
    shared = Click(NOON, "a", CHROME, GATEWAY, shares_ip=True)
    assert reasons(shared) == ["shared_ip"]
    for rule in (MachineClickRule(recipients=0), MachineClickRule(links=0)):
        assert reasons(shared, rule=rule) == [None]


def shared(*clicks: tuple[float, int], most: int = 20) -> list[bool]:
    times = [NOON + timedelta(seconds=at) for at, _ in clicks]
    return find_shared(times, [email for _, email in clicks], 3, 5, most)


def test_several_recipients_within_seconds_share_an_address() -> None:
    assert shared((0, 1), (2, 2), (5, 3), (9, 4)) == [True, True, True, False]
    assert shared((0, 1), (2, 2), (6, 3)) == [False] * 3
    assert shared((0, 1), (1, 1), (2, 1), (3, 2)) == [False] * 4  # an impatient person


def test_a_crowd_of_one_address_is_a_machines_whatever_the_recipients() -> None:
    assert shared(*[(0.0, 1)] * 3, (5.9, 2), (6.0, 2), most=2) == [True] * 4 + [False]


CLICKS = st.lists(
    st.builds(
        click,
        st.integers(0, 400),
        st.sampled_from(["a", "b", "c", "d", "trap"]),
        st.sampled_from([CHROME, SAFARI, "curl/8"]),
        st.sampled_from([HOME, GATEWAY, None]),
    ),
    max_size=16,
)


@given(CLICKS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(clicks: list[Click], chance: random.Random) -> None:
    told = dict(zip(clicks, reasons(*clicks), strict=True))
    chance.shuffle(clicks)
    assert dict(zip(clicks, reasons(*clicks), strict=True)) == told


@given(CLICKS)
def test_clicks_beyond_the_reach_do_not_matter(clicks: list[Click]) -> None:
    told = reasons(*clicks)
    reach = RULE.reach + ONE_SECOND
    for one, expected in zip(clicks, told, strict=True):
        near = [other for other in clicks if abs(other.at - one.at) <= reach]
        assert reasons(*near)[near.index(one)] == expected


@pytest.mark.parametrize("seed", range(3))
def test_the_rule_recognizes_gateways_and_spares_people(seed: int) -> None:
    """A short form of tools/bench/machine_clicks.py."""
    found = measure_accuracy(simulate_mailing(seed, 20_000), RULE)
    assert found.recognized() >= 0.95
    assert found.lost() <= 0.01
    for kind in ("all links at once", "all links, delayed", "names itself", "slow"):
        assert found.wrong[True, kind] / found.total[True, kind] < 0.01, kind


def test_a_campus_behind_few_addresses_keeps_its_clicks() -> None:
    found = measure_accuracy(simulate_mailing(0, 20_000, campus_share=0.8), RULE)
    assert found.lost() <= 0.01


def test_the_trap_link_finds_clicks_that_nothing_else_reveals() -> None:
    with_, without = (
        measure_accuracy(simulate_mailing(1, 10_000, has_trap=has_trap), RULE)
        for has_trap in (True, False)
    )
    kind = True, "rotates"
    assert with_.wrong[kind] / with_.total[kind] < without.wrong[kind] / without.total[kind]
