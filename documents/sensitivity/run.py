"""One run over a fundraiser's gifts, page by page.

All pages read the same snapshot, so the sums are exact for its time. One transaction stores the
sums of a page and the progress. So a run that a kill interrupts continues, and counts nothing
twice. If MongoDB no longer has the snapshot, a run continues with a new one, if nothing changed.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from documents.matching.policy import MatchPolicy
from documents.rows.collections import collection
from documents.rows.sensitivity import SensitivityRunRow
from documents.sensitivity.changes import find_unchanged_from, follow_changes, may_have_changed
from documents.sensitivity.page import GiftPage, compute_page
from documents.sensitivity.snapshot import is_lost, take_snapshot
from documents.sensitivity.stored import end_sensitivity, make_sensitivity_id
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

log = logging.getLogger(__name__)

MIN_RUN_INTERVAL = timedelta(minutes=10)
MAX_PROCESSOR_SHARE = 0.05  # of one fundraiser, in the long term
PROGRESS_FIELDS = ("snapshot", "after", "pages")


def work_on_page(fundraiser_id: ObjectId, default: MatchPolicy) -> None:
    """Compute the next page of a fundraiser that is due. Begin a run if none is in progress.

    Two processes may work on the same page. One of them stores it.

    Args:
        default: the policy for organizations without their own.
    """
    run = collection(get_db(), SensitivityRunRow).find_one({"_id": fundraiser_id})
    if run and "snapshot" not in run:
        run = _begin_run(run)
    if run is None:
        return
    try:
        page = compute_page(run, default)
    except OperationFailure as error:
        if not is_lost(error):
            raise
        _replace_snapshot(run)
    else:
        in_transaction(_store_page, run, page)


def _begin_run(run: SensitivityRunRow) -> SensitivityRunRow | None:
    """Begin a run. Return None if the fundraiser is deleted, or another process was faster."""
    live = {"_id": run["_id"], "deleted_at": None}
    if get_db().fundraisers.find_one(live, {"_id": 1}) is None:
        end_sensitivity([run["_id"]])
        return None
    # Readers may still use the rows of the published run. Those of other runs have no reader.
    unread = {"fundraiser_id": run["_id"], "number": {"$ne": run.get("published")}}
    get_db().sensitivities.delete_many(unread)
    number = run.get("number")
    begun = {"number": (number or 0) + 1, "snapshot": take_snapshot(), "pages": 0, "seconds": 0.0}
    found: SensitivityRunRow | None = get_db().sensitivity_runs.find_one_and_update(
        {"_id": run["_id"], "number": number, "snapshot": None},
        {"$set": begun, "$unset": {"after": ""}},
        return_document=True,
    )
    return found


def _replace_snapshot(run: SensitivityRunRow) -> None:
    """Continue with a new snapshot if nothing has changed since the old one. Else begin later."""
    current = {"_id": run["_id"], "number": run["number"], "pages": run["pages"]}
    snapshot = take_snapshot()
    follow_changes()  # only now, so that no change before the new snapshot is unknown
    known = collection(get_db(), SensitivityRunRow).find_one(current)
    if known is None:
        return
    if not may_have_changed(known, run["snapshot"].as_datetime()):
        get_db().sensitivity_runs.update_one(current, {"$set": {"snapshot": snapshot}})
        return
    log.info("sensitivity of %s: postponed, because its gifts change", run["_id"])
    later = {"due": now() + _find_interval(run["seconds"])}
    update = {"$set": later, "$unset": dict.fromkeys(PROGRESS_FIELDS, "")}
    get_db().sensitivity_runs.update_one(current, update)


def _find_interval(seconds: float) -> timedelta:
    return max(MIN_RUN_INTERVAL, timedelta(seconds=seconds / MAX_PROCESSOR_SHARE))


def _store_page(tx: Tx, run: SensitivityRunRow, page: GiftPage) -> None:
    """Add a page to the sums, unless another process has done so. Publish the sums of the last."""
    runs, current = tx.database.sensitivity_runs, {"_id": run["_id"], "number": run["number"]}
    current |= {"pages": run["pages"], "snapshot": run["snapshot"]}
    known: SensitivityRunRow | None = runs.find_one(current, session=tx.session)
    if known is None:
        return
    if sums := _list_sum_updates(run, page):
        tx.database.sensitivities.bulk_write(sums, ordered=False, session=tx.session)
    seconds = known["seconds"] + page.seconds
    if page.is_last:
        update = _build_publication(known, page.policy, seconds)
    else:
        update = {"$set": {"after": page.last_id, "pages": run["pages"] + 1, "seconds": seconds}}
    runs.update_one(current, update, session=tx.session)


def _list_sum_updates(run: SensitivityRunRow, page: GiftPage) -> list[UpdateOne]:
    updates = []
    of = {"organization_id": run["organization_id"], "fundraiser_id": run["_id"]}
    for mailing_id, sums in page.sums.by_mailing.items():
        id_ = make_sensitivity_id(mailing_id, run["_id"], run["number"])
        new = {**of, "mailing_id": mailing_id, "number": run["number"]}
        added = {f"sums.{name}.{currency}": amount for (name, currency), amount in sums.items()}
        updates.append(UpdateOne({"_id": id_}, {"$setOnInsert": new, "$inc": added}, upsert=True))
    return updates


def _build_publication(
    run: SensitivityRunRow, policy: MatchPolicy, seconds: float
) -> dict[str, Any]:
    """Return the update that publishes a run, and that stays due if changes may be missing."""
    computed_at: datetime = run["snapshot"].as_datetime()
    next_at = computed_at + _find_interval(seconds)
    update: dict[str, Any] = {
        "published": run["number"],
        "computed_at": computed_at,
        "next_at": next_at,
        "seconds": seconds,
        "policy": {"window_seconds": policy.window.total_seconds(), "touch": policy.touch},
    }
    gone = dict.fromkeys(PROGRESS_FIELDS, "")
    if may_have_changed(run, computed_at):
        update["due"] = max(next_at, find_unchanged_from(run))
    else:
        gone["due"] = ""
    return {"$set": update, "$unset": gone}
