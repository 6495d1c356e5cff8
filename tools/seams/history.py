"""The scenarios of the history: workers sum its hours and delete its old changes."""

from datetime import timedelta
from typing import Any

from documents.history.hours import sum_next_hour
from documents.history.retention import drop_old_changes
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tools.seams.experiments import ALL_SCENARIOS as OTHER_SCENARIOS
from tools.seams.scenarios import Given, Scenario, make_gift_body
from tools.testbed.cast import University

NOTED_REPORTS = "reports of earlier times"
CHANGED_FIGURES = ("as_of", "unsettled", "unmatched_events")
# After this time, the hour of the scene is over.
LATER = timedelta(hours=3)


def read_figures(place: University, path: str) -> dict[str, Any]:
    """Return the figures of a report that do not depend on the time of the request."""
    return {name: one for name, one in place.get(path).items() if name not in CHANGED_FIGURES}


def prepare_changes(place: University, given: Given) -> None:
    """Give twice and refund once, and note the reports of these times."""
    given[NOTED_REPORTS] = {}
    given["gift"] = place.make("donations", **make_gift_body(given))["id"]
    _settle_and_note(place, given)
    place.call("PATCH", f"/v1/donations/{given['gift']}", {"refunded_amount": 400})
    _settle_and_note(place, given)
    place.make("donations", **make_gift_body(given, amount=100))
    _settle_and_note(place, given)


def _settle_and_note(place: University, given: Given) -> None:
    while sweep_due_records():
        pass
    path = f"/v1/fundraisers/{given['spring']}/report"
    report = place.get(path)
    given[NOTED_REPORTS][f"{path}?as_of={report['as_of']}"] = read_figures(place, path)


def prepare_old_changes(place: University, given: Given) -> None:
    """Sum all changes, and forget the reports that their deletion makes unknown."""
    prepare_changes(place, given)
    given[NOTED_REPORTS].clear()
    sum_all_hours()


def sum_all_hours(*_: Any) -> None:
    while sum_next_hour(now() + LATER):
        pass


def drop_all_changes(*_: Any) -> None:
    while drop_old_changes(now() + LATER):
        pass


HISTORY_SCENARIOS = {
    "sum the hours of the history": Scenario(prepare_changes, sum_all_hours, True, 2200, 2),
    "drop old changes": Scenario(prepare_old_changes, drop_all_changes, True, 2200, 2),
}
ALL_SCENARIOS = OTHER_SCENARIOS | HISTORY_SCENARIOS
