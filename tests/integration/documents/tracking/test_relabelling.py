"""Judging clicks again: a process that was paused does not change another's progress."""

import pytest

from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import MachineClickRule
from tools.bench import recount_rate


@pytest.mark.usefixtures("real_database")
def test_a_paused_process_does_not_change_another_rules_progress() -> None:
    recount_rate.store_records(3, events=False)
    old, new = MachineClickRule(), MachineClickRule(seconds=MachineClickRule().seconds + 1)
    paused = Relabelling.continue_with(old)
    current = Relabelling.continue_with(new)
    assert not paused.step(old)
    stored = Relabelling.objects.first()
    assert (stored.target, stored.after, stored.rule) == (new.fingerprint, None, None)
    while current.step(new):
        pass
    assert Relabelling.is_done(new)


@pytest.mark.usefixtures("real_database")
def test_two_processes_of_one_rule_complete_it() -> None:
    recount_rate.store_records(3, events=False)
    first, second = (
        Relabelling.continue_with(MachineClickRule()),
        Relabelling.continue_with(MachineClickRule()),
    )
    assert first.step(MachineClickRule())
    assert not second.step(MachineClickRule())
    assert not first.step(MachineClickRule())
    assert Relabelling.is_done(MachineClickRule())


@pytest.mark.usefixtures("real_database")
def test_a_paused_process_does_not_bring_back_the_position_of_a_finished_relabelling() -> None:
    recount_rate.store_records(3, events=False)
    rule = MachineClickRule()
    paused, current = Relabelling.continue_with(rule), Relabelling.continue_with(rule)
    while current.step(rule):
        pass
    assert not paused.step(rule)
    stored = Relabelling.objects.get()
    assert (stored.rule, stored.after) == (rule.fingerprint, None)
