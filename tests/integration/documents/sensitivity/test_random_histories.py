"""The six sums are those of the real matching, which settles the same gifts under each policy."""

from typing import Any

import pytest
from falcon import testing

from documents.matching.policy import MatchPolicy
from documents.sensitivity import page
from documents.sensitivity.rules import ALTERNATIVES
from documents.sensitivity.turns import SensitivityTurns
from tests.integration.documents.sensitivity.random_history import RandomHistory
from tools.testbed.cast import Api, University, create_university

DAY_SECONDS = 24 * 60 * 60
STEPS = 90
PRESENT = {"window_seconds": 10 * DAY_SECONDS, "touch": "last"}
POLICIES: list[dict[str, Any]] = [
    {},
    {"prefer": ["clicked", "sent"], "other_fundraiser": "match"},
    {"prefer": ["opened"]},
    {"prefer": ["sent", "opened", "clicked"]},
]


def live(client: testing.TestClient, policy: dict[str, Any], seed: int) -> RandomHistory:
    """Let a new university live through the history under a policy."""
    place = create_university("A university", Api.in_process(client))
    place.set_webhook_key()
    assert place.call("PUT", "/v1/match-policy", policy).status == 200
    history = RandomHistory(place, seed)
    history.run(STEPS)
    return history


def raised(place: University, history: RandomHistory) -> list[dict[str, int]]:
    return [place.get(f"/v1/mailings/{mailing}")["raised"] for _, mailing in history.mailings]


def compute_all() -> None:
    turns = SensitivityTurns()
    while turns.work(MatchPolicy()):
        pass


@pytest.mark.parametrize("seed", range(len(POLICIES)))
def test_the_sums_are_those_of_the_real_matching(
    real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 7)
    policy = POLICIES[seed]
    history = live(real_client, {**PRESENT, **policy}, seed)
    compute_all()
    found = [
        history.alice.get(f"/v1/mailings/{mailing}/report")["sensitivity"]
        for _, mailing in history.mailings
    ]
    assert [one["credited"] for one in found] == raised(history.alice, history)
    differing = 0
    for place, alternative in enumerate(ALTERNATIVES):
        rule = {"window_seconds": alternative.window_days * DAY_SECONDS, "touch": alternative.touch}
        other = live(real_client, {**policy, **rule}, seed)
        expected = raised(other.alice, other)
        assert [one["rules"][place]["raised"] for one in found] == expected, alternative
        differing += expected != raised(history.alice, history)
    assert differing >= 3  # or the histories would show nothing
