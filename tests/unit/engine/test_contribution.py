"""The engine's arithmetic, by properties: counters always equal a recount."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from matchback.engine.contribution import (
    Contribution,
    add,
    difference,
    from_stored,
    increase,
    sum_contributions,
    to_stored,
)

targets = st.tuples(st.sampled_from(["mailings", "fundraisers"]), st.integers(0, 3))
amounts = st.dictionaries(
    st.sampled_from(["donations_count", "raised.USD", "raised.EUR"]),
    st.integers(-100, 100).filter(bool),
    min_size=1,
)
contributions = st.dictionaries(targets, amounts)


@given(contributions, contributions)
def test_adding_the_difference_gives_the_new_counters(
    now: Contribution, before: Contribution
) -> None:
    assert sum_contributions([before, difference(now, before)]) == now


@given(contributions)
def test_a_contribution_survives_being_stored(contribution: Contribution) -> None:
    assert from_stored(to_stored(contribution)) == contribution


@given(st.lists(contributions), st.randoms())
def test_the_order_of_adding_does_not_matter(many: list[Contribution], random: Any) -> None:
    shuffled = random.sample(many, len(many))
    assert sum_contributions(many) == sum_contributions(shuffled)


@given(contributions)
def test_a_subtracted_contribution_leaves_nothing(contribution: Contribution) -> None:
    assert difference({}, contribution) == difference({}, contribution)
    assert sum_contributions([contribution, difference({}, contribution)]) == {}


def test_increase_does_what_inc_does() -> None:
    row: dict[str, Any] = {"donations_count": 1, "raised": {"USD": 5}}
    increase(row, {"donations_count": -1, "raised.USD": 2, "by_match.direct.count": 1})
    assert row == {
        "donations_count": 0,
        "raised": {"USD": 7},
        "by_match": {"direct": {"count": 1}},
    }


class AnySequence(RuleBasedStateMachine):
    """Sources are created, changed, moved and deleted, and settled at random points, even twice."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[int, Contribution] = {}
        self.counted: dict[int, Contribution] = {}
        self.counters: Contribution = {}

    @rule(source=st.integers(0, 5), contribution=contributions)
    def create_change_or_move(self, source: int, contribution: Contribution) -> None:
        self.sources[source] = contribution

    @rule(source=st.integers(0, 5))
    def delete(self, source: int) -> None:
        self.sources[source] = {}

    @rule(source=st.integers(0, 5))
    def settle(self, source: int) -> None:
        now = self.sources.get(source, {})
        add(self.counters, difference(now, self.counted.get(source, {})))
        self.counted[source] = now

    @invariant()
    def counters_equal_a_recount(self) -> None:
        assert self.counters == sum_contributions(self.counted.values())


TestAnySequence = AnySequence.TestCase


def test_a_target_can_have_several_shares() -> None:
    shares = [['{"a":1}', "users", 1, "users", 2], ['{"a":1}', "users", 1], ['{"b":2}', "users", 1]]
    summed = {("users", 1): {"a": 2, "b": 2}, ("users", 2): {"a": 1}}
    assert from_stored(shares) == summed
    assert from_stored(shares) == summed  # the sum does not change what is known of a text
