"""Short form of the benchmarks: they must run, and their counts must be exact at any speed."""

import json
from pathlib import Path

from mongoengine import get_db

from tools.bench import figures, growth, history_cost
from tools.bench.figures import AT_LEAST, AT_MOST, Figure
from tools.bench.load import LoadResult
from tools.bench.progress import wait_for_drain
from tools.bench.scenarios import SHORT_SIZE, Bench
from tools.bench.workload import Workload, mix_bits

EXACT = (
    "incorrect counters after all measurements",
    "incorrect counters after a kill",
    "events lost or twice after a kill, matchback",
)


def test_everything_is_measured_and_every_counter_is_correct(memory_path: Path) -> None:
    bench = Bench(SHORT_SIZE, memory_path)
    bench.run()
    figures.write_results(memory_path, bench.figures, {"machine": "any"})
    figures.draw_chart(memory_path / "rates.svg", bench.figures)

    told = {
        one["name"]: one
        for one in json.loads((memory_path / "results.json").read_text())["figures"]
    }
    assert {name: told[name]["values"] for name in EXACT} == {name: [0] for name in EXACT}
    for name in SHORT_SIZE.queues:
        assert told[f"settling events, {name}"]["median"] > 0
        assert told[f"settling donations, {name}"]["median"] > 0
        assert f"events lost or twice after a kill, {name}" in told
    assert told["POST donation, to the limit"]["target"] == 0.6
    assert "matchback" in (memory_path / "rates.svg").read_text()


def test_growth_measures_costs_at_both_sizes_and_index_bytes(memory_path: Path) -> None:
    found = growth.compare_growth(memory_path, few=200, many=400, rounds=1, scale=60)
    names = [figure.name for figure in found]
    assert "settling an event: 400 to 200" in names
    assert "events: storage" in names
    for name in growth.GROWING_COLLECTIONS:
        assert f"{name}: storage" in names
        assert any(one.startswith(f"{name}: index ") for one in names)
    assert any(name.startswith("emails: index ") for name in names)
    assert all(figure.values[0] > 0 for figure in found)


def test_the_cost_of_history_compares_both_modes(memory_path: Path) -> None:
    sizes = dict.fromkeys(history_cost.KINDS, 100)
    with history_cost.run_databases(memory_path) as turns:
        measured = history_cost.measure(turns, rounds=1, sizes=sizes)
        notes = {}
        for mode in history_cost.MODES:
            turns.take(mode)
            names = ("gift_changes", "counter_changes", "segments", "participants")
            notes[mode] = [get_db()[name].count_documents({}) > 0 for name in names]
    assert notes == {history_cost.WITHOUT: [False] * 4, history_cost.WITH: [True] * 4}
    for kind in history_cost.KINDS:
        assert "a second" in history_cost.describe(kind, measured, 100)


def test_the_workload_matches_its_description() -> None:
    workload = Workload()
    gifts = [workload.gift(index) for index in range(2000)]
    good = [gift for gift in gifts if len(gift["email_id"]) == 24]
    blank = [gift for gift in gifts if not gift["email_id"]]
    strangers = [gift for gift in gifts if gift["donor"]["email"].startswith("stranger")]
    assert (len(good), len(blank), len(strangers)) == (1400, 500, 100)
    assert workload.gift(7) == Workload().gift(7)
    clicks = [event for event in workload.post(3) if event["event"] == "click"]
    assert len(clicks) == 25
    assert mix_bits(0) == 0xE220A8397B1DCDAF  # SplitMix64's first output of seed 0


def test_a_figure_knows_whether_its_target_is_met() -> None:
    assert Figure("a rate", "1/s", [9, 10, 30], AT_LEAST, 10).is_met
    assert not Figure("a time", "s", [9, 10, 30], AT_MOST, 9).is_met
    assert Figure("any", "s", [1]).is_met is None
    half = figures.build_ratio_figure("half", Figure("", "", [1, 2]), Figure("", "", [2, 4]))
    assert half.values == [0.5, 0.5]


def test_a_load_reports_its_rate_and_percentiles() -> None:
    load = LoadResult(took=2.0, seconds=[n / 1000 for n in range(1, 101)])
    assert load.rate == 50
    assert 49 < load.percentile(50) < 52
    assert load.percentile(99) > 98


def test_a_backlog_without_progress_ends_the_wait() -> None:
    answers = iter([10, 6, 4, 4, 4, 4])
    drained = wait_for_drain(lambda: next(answers, 4), gives_up_seconds=0.3)
    assert drained.left == 4
    assert drained.rate > 0


def test_a_slowly_starting_worker_is_awaited() -> None:
    answers = iter([2, 2, 2, 2, 1])
    drained = wait_for_drain(lambda: next(answers, 0), gives_up_seconds=0.1)
    assert drained.left == 0
    assert drained.rate > 0
