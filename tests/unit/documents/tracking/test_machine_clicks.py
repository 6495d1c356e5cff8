"""Clicks by machines: pure, so that each case takes one line."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.link import normalize_link
from documents.tracking.machine_agents import is_machine_agent
from documents.tracking.rules import (
    MAX_CLICKS_PER_SECOND,
    Click,
    MachineClickRule,
    find_machine_reasons,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120 Safari/537.36"


def click(seconds: int, url: str = "a", user_agent: str = CHROME) -> Click:
    return Click(NOON + timedelta(seconds=seconds), url, user_agent)


def test_a_person_clicks_one_link_and_later_another() -> None:
    assert find_machine_reasons(
        [click(60), click(75, "b"), click(76)], NOON, MachineClickRule()
    ) == [None, None, None]


@pytest.mark.parametrize(("seconds", "reason"), [(-5, "delivery"), (0, "delivery"), (1, None)])
def test_clicks_before_or_in_the_second_of_delivery_are_a_machines(
    seconds: int, reason: str | None
) -> None:
    assert find_machine_reasons([click(seconds)], NOON, MachineClickRule()) == [reason]


def test_clicks_on_every_link_within_a_moment_are_a_machines() -> None:
    clicks = [click(60, "a"), click(61, "b"), click(62, "c"), click(90, "a")]
    assert find_machine_reasons(clicks, NOON, MachineClickRule()) == [
        "burst",
        "burst",
        "burst",
        None,
    ]
    assert find_machine_reasons(clicks, NOON, MachineClickRule(links=0)) == [None] * 4
    assert find_machine_reasons(clicks, NOON, MachineClickRule(seconds=1)) == [None] * 4


def test_an_impatient_person_is_not_a_burst() -> None:
    assert (
        find_machine_reasons([click(60)] * 9 + [click(61, "b")], NOON, MachineClickRule())
        == [None] * 10
    )


def test_a_crowd_on_one_link_and_clicks_near_it_are_machines() -> None:
    crowd = [click(60)] * (MAX_CLICKS_PER_SECOND + 1)
    told = find_machine_reasons([*crowd, click(58), click(62), click(63)], NOON, MachineClickRule())
    assert told == ["burst"] * (MAX_CLICKS_PER_SECOND + 3) + [None]
    assert set(find_machine_reasons(crowd[1:], NOON, MachineClickRule())) == {None}
    assert set(find_machine_reasons(crowd, NOON, MachineClickRule(links=0))) == {None}


def test_a_crowd_keeps_its_labels_when_the_delivery_is_known() -> None:
    told = find_machine_reasons(
        [click(60)] * (MAX_CLICKS_PER_SECOND + 1) + [click(61)],
        NOON + timedelta(hours=1),
        MachineClickRule(),
    )
    assert told == ["burst"] * (MAX_CLICKS_PER_SECOND + 1) + ["delivery"]


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        ("Mimecast/1.0", True),
        ("BarracudaCentral", True),
        ("Mozilla/5.0 (compatible; Proofpoint URL Defense)", True),
        ("python-requests/2.31", True),
        ("curl/8.5.0", True),
        ("Mozilla/5.0 HeadlessChrome/120", True),
        (CHROME, False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT NOVA) AppleWebKit/537.36 Chrome/99", False),
        ("", False),
        ("\udfff" * 3, False),
    ],
)
def test_machines_that_identify_themselves_are_recognized(user_agent: str, expected: bool) -> None:
    assert is_machine_agent(user_agent) is expected


def test_an_operator_can_add_agents() -> None:
    assert find_machine_reasons(
        [click(60, user_agent="ACME Gate")], None, MachineClickRule(agents=("acme",))
    ) == ["agent"]


CLICKS = st.lists(st.builds(click, st.integers(0, 12), st.sampled_from("abcd")), max_size=12)


@given(CLICKS, st.integers(0, 2**32), st.none() | st.integers(-3, 12))
def test_the_order_of_reported_clicks_does_not_matter(
    clicks: list[Click], seed: int, delivered: int | None
) -> None:
    at = None if delivered is None else NOON + timedelta(seconds=delivered)
    order = list(range(len(clicks)))
    random.Random(seed).shuffle(order)
    told = find_machine_reasons(clicks, at, MachineClickRule())
    assert find_machine_reasons([clicks[index] for index in order], at, MachineClickRule()) == [
        told[at] for at in order
    ]


@given(CLICKS)
def test_distant_clicks_do_not_matter(clicks: list[Click]) -> None:
    """So the code judges a stored click again only when an event arrives near it."""
    told = find_machine_reasons(clicks, None, MachineClickRule())
    for one, expected in zip(clicks, told, strict=True):
        near = [other for other in clicks if abs(other.at - one.at) <= MachineClickRule().reach]
        assert find_machine_reasons([one, *near], None, MachineClickRule())[0] == expected


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://x.edu/give?email_id=6b0476d6c8e5f1a2b3c4d5e6", "https://x.edu/give"),
        ("HTTPS://X.edu/Give#top", "https://x.edu/Give"),
        ("https://x.edu/?amount=25&utm_campaign=spring-giving-2026", None),
        ("https://x.edu/?a=eyJhbGciOiJIUzI1NiJ9.e30.abc123&b=2", "https://x.edu/?b=2"),
        ("https://x.edu/?who=bob%40example.edu", "https://x.edu/"),
        ("mailto:giving@x.edu", None),
        ("no address at all", None),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_a_stored_link_has_no_data_of_the_recipient(url: str, link: str | None) -> None:
    assert normalize_link(url) == (url if link is None else link)
