"""Turns: each organization with due fundraisers gets a page in turn, so that none waits long."""

import logging
import time
from collections import deque
from collections.abc import Callable

from bson import ObjectId
from mongoengine import get_db

from config.transient_errors import is_transient
from documents.matching.policy import MatchPolicy
from documents.sensitivity.changes import follow_changes
from documents.sensitivity.run import MIN_RUN_INTERVAL, work_on_page
from documents.storage import shutdown
from documents.values.time import now

log = logging.getLogger(__name__)

STEP_SECONDS = 1.0  # A worker pauses as long after each step, so that settling has priority.


class SensitivityTurns:
    """The turns of one process. A new process begins with any organization."""

    def __init__(self) -> None:
        self._last: ObjectId | None = None

    def work(self, default: MatchPolicy, is_lost: Callable[[], bool] = lambda: False) -> bool:
        """Work on pages for about a second. Return whether there were any.

        Args:
            default: the policy for organizations without their own.
            is_lost: returns whether another process works now.
        """
        follow_changes()
        waiting = deque(order_turns(_list_due_organizations(), self._last))
        ends_at, worked = time.monotonic() + STEP_SECONDS, False
        while waiting and time.monotonic() < ends_at and not (is_lost() or shutdown.has_begun()):
            self._last = organization_id = waiting.popleft()
            if (fundraiser_id := _find_due(organization_id)) is not None:
                _work_safely(fundraiser_id, default)
                waiting.append(organization_id)
                worked = True
        return worked


def order_turns(ids: list[ObjectId], last: ObjectId | None) -> list[ObjectId]:
    """Return the organizations in order, beginning after the one that had the last turn."""
    return sorted(ids, key=lambda id_: (last is not None and id_ <= last, id_))


def _list_due_organizations() -> list[ObjectId]:
    due = {"due": {"$type": "date", "$lte": now()}}
    return list(get_db().sensitivity_runs.distinct("organization_id", due))


def _find_due(organization_id: ObjectId) -> ObjectId | None:
    """Return the fundraiser that has been due longest. It stays due until its run ends."""
    due = {"organization_id": organization_id, "due": {"$type": "date", "$lte": now()}}
    found = get_db().sensitivity_runs.find_one(due, {"_id": 1}, sort=[("due", 1)])
    return found["_id"] if found else None


def _work_safely(fundraiser_id: ObjectId, default: MatchPolicy) -> None:
    """Work on a page. After an error in one fundraiser, continue with the others."""
    try:
        work_on_page(fundraiser_id, default)
    except Exception as error:
        if is_transient(error):
            raise
        log.exception("sensitivity of %s: postponed", fundraiser_id)
        later = {"$set": {"due": now() + MIN_RUN_INTERVAL}}
        get_db().sensitivity_runs.update_one({"_id": fundraiser_id}, later)
