"""Changes of an experiment's definition.

Before the first email has an arm, everything can change. Then the experiment has started. Its
window, its scope, its baseline and the arms that it has are fixed, because a change would mix
results that cannot be compared. Weights can change, and arms can be added.
"""

from collections.abc import Mapping
from typing import Any

from documents.errors import Conflict, NotFound
from documents.experiment import find_baseline_arm
from documents.mailing import Mailing
from documents.rows.experiment import StoredExperiment
from documents.values.time import now


def set_experiment(mailing: Mailing, new: Mapping[str, Any]) -> StoredExperiment:
    """Define the mailing's experiment, or change it.

    Args:
        new: `arms`, `window_days` and `scope`, as validated values.

    Raises:
        Conflict: the experiment has started, and the change is not allowed any longer.
    """

    def edit(edited: Mailing) -> None:
        known: StoredExperiment | None = edited.experiment
        edited.experiment = _change_definition(known, new)

    changed = mailing.change(edit)
    stored: StoredExperiment = changed.experiment
    return stored


def remove_experiment(mailing: Mailing) -> None:
    """Remove the experiment of a mailing.

    Raises:
        NotFound: the mailing has no experiment.
        Conflict: the experiment has started.
    """

    def edit(edited: Mailing) -> None:
        if edited.experiment is None:
            raise NotFound
        if "started_at" in edited.experiment:
            raise Conflict(
                "The experiment has started. It cannot be removed, because emails have its arms."
            )
        edited.experiment = None

    mailing.change(edit)


def _change_definition(known: StoredExperiment | None, new: Mapping[str, Any]) -> StoredExperiment:
    """Return the definition after a change. An equal definition keeps its version."""
    if known and "started_at" in known:
        _check_started(known, new)
    if known and all(known[name] == new[name] for name in ("arms", "window_days", "scope")):
        return known
    changed: StoredExperiment = {
        "arms": new["arms"],
        "window_days": new["window_days"],
        "scope": new["scope"],
        "version": known["version"] + 1 if known else 1,
        "updated_at": now(),
    }
    if known and "started_at" in known:
        changed["started_at"] = known["started_at"]
    return changed


def _check_started(known: StoredExperiment, new: Mapping[str, Any]) -> None:
    for name in ("window_days", "scope"):
        if known[name] != new[name]:
            raise Conflict(
                f"The experiment has started. Its {name} cannot change, because gifts of earlier "
                "recipients would count by other rules."
            )
    after = {arm["name"]: arm["held_out"] for arm in new["arms"]}
    for arm in known["arms"]:
        if arm["name"] not in after:
            raise Conflict(
                "The experiment has started. An arm cannot be removed or renamed, because it has "
                "recipients. Set its weight to 0 to end it."
            )
        if after[arm["name"]] != arm["held_out"]:
            raise Conflict(
                "The experiment has started. An arm's held_out cannot change, because its "
                "recipients were sent the mailing or not."
            )
    if find_baseline_arm(known["arms"])["name"] != find_baseline_arm(new["arms"])["name"]:
        raise Conflict(
            "The experiment has started. Its baseline cannot change, because the choice could "
            "depend on the results. The baseline is the first held-out arm, or the first arm."
        )
