"""A short form of `python -m tools.bench.experiments`, with a fixed seed."""

import pytest

from tools.bench.experiment_draws import Setting
from tools.bench.experiment_simulation import count_ordinary_alarms, find_alarms, simulate
from tools.bench.experiments import (
    FOUR_EQUAL,
    GIFTS,
    HALF,
    MILLIONAIRE,
    PLANNED,
    TENTH,
    TWENTIETH,
    describe_power,
    describe_setting,
)

LOGNORMAL, WIDE_LOGNORMAL, PARETO, _ = GIFTS
SETTINGS = [
    Setting(LOGNORMAL, HALF),
    Setting(WIDE_LOGNORMAL, TENTH, arriving="gifts"),
    Setting(PARETO, FOUR_EQUAL),
    Setting(MILLIONAIRE, TWENTIETH, arriving="gifts"),
]
EXPERIMENTS = 120
MOST_PERCENT = 5.0


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.gifts.name)
def test_false_alarms_and_misses_are_rare(setting: Setting) -> None:
    row = describe_setting(setting, EXPERIMENTS, seed=4).split(" | ")
    assert all(float(cell) <= MOST_PERCENT for cell in row[4:12])


def test_an_effect_is_found_without_bias() -> None:
    setting = Setting(LOGNORMAL, HALF, lift=0.5, batches=4)
    tally = simulate(setting, 300, 4, find_alarms)
    differences = tally.response
    assert sum(differences) / len(differences) == pytest.approx(0.01, abs=0.0004)
    assert tally.percent("alarm response") > 80


def test_a_planned_experiment_shows_its_effect() -> None:
    power = float(describe_power(PLANNED[0], 100, seed=4).rpartition("| ")[2])
    assert 75 <= power <= 97


def test_ordinary_intervals_alarm_too_often() -> None:
    assert count_ordinary_alarms(Setting(LOGNORMAL, HALF), EXPERIMENTS, seed=4) > 20
