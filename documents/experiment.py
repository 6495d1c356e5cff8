"""Experiment: the arms of a mailing, and the recipients whom it deliberately leaves out.

Recording an email for the mailing gives the email its arm. From the first arm on, the experiment
has started. See experiment_changes.py for what can change then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.errors import NotFound, Unacceptable
from documents.experiments.assignment import ASSIGNMENT_KEY_PURPOSE, Arm, assign_arm
from documents.giving_links.link_token import derive_secret
from documents.mailing import Mailing
from documents.rows.collections import collection
from documents.rows.experiment import StoredArm, StoredExperiment
from documents.rows.fundraiser import MailingRow
from documents.values.time import now

DEFAULT_WINDOW_DAYS, MAX_WINDOW_DAYS = 30, 365
MAX_ARMS = 20
MAX_ARM_WEIGHT = 1_000_000
UNKNOWN_ARM_DETAIL = "Must be the name of an arm of the mailing's experiment."
EXPERIMENT_FIELDS = ("organization_id", "sent_at", "experiment")


def fetch_experiment(mailing: Mailing) -> StoredExperiment:
    """Return the definition of a mailing's experiment.

    Raises:
        NotFound: the mailing has no experiment.
    """
    if mailing.experiment is None:
        raise NotFound
    stored: StoredExperiment = mailing.experiment
    return stored


def find_baseline_arm(arms: Sequence[StoredArm]) -> StoredArm:
    """Return the holdout; without one, the first arm."""
    return next((arm for arm in arms if arm["held_out"]), arms[0])


def start_experiments(mailings: Sequence[MailingRow]) -> None:
    """Start the experiments of these mailings, and complete their rows.

    Call this before the first email gets its arm. The write blocks the changes that are not allowed
    after that. An experiment that changed meanwhile is read again.
    """
    for mailing in mailings:
        _start(mailing)


def _start(mailing: MailingRow) -> None:
    rows = collection(get_db(), MailingRow)
    while (experiment := mailing.get("experiment")) and "started_at" not in experiment:
        read = {"_id": mailing["_id"], "experiment.version": experiment["version"]}
        at = now()
        # The version makes a concurrent change of the mailing fail, and apply again.
        started = {"$set": {"experiment.started_at": at}, "$inc": {"version": 1}}
        if rows.update_one({**read, "experiment.started_at": None}, started).matched_count:
            experiment["started_at"] = at
            return
        found = rows.find_one({"_id": mailing["_id"]}, dict.fromkeys(EXPERIMENT_FIELDS, 1))
        mailing.pop("experiment", None)
        mailing.update(found or {})  # type: ignore[typeddict-item]  # mypy expects all fields


def has_arm(mailing: MailingRow | None, name: str) -> bool:
    """Return whether the mailing has an experiment with this arm."""
    experiment = mailing.get("experiment") if mailing else None
    return experiment is not None and any(arm["name"] == name for arm in experiment["arms"])


def check_arm(mailing: MailingRow | None, name: str | None) -> None:
    """Check the arm that a client names.

    Raises:
        Unacceptable: the mailing has no such arm.
    """
    if name is not None and not has_arm(mailing, name):
        raise Unacceptable("/arm", "not_found", UNKNOWN_ARM_DETAIL)


def build_arm_fields(
    mailing: MailingRow | None, user_id: ObjectId, sent_at: datetime | None, name: str | None
) -> dict[str, Any]:
    """Return the fields that an email of this mailing has because of its experiment.

    The window of the user begins when the mailing is sent. Without that time, it begins when the
    email is sent, or now.

    Args:
        mailing: its experiment, if it has one, must have started.
        sent_at: the time of the email.
        name: the arm that the client names.
    """
    experiment = mailing.get("experiment") if mailing else None
    if not mailing or not experiment:
        return {}
    name = name or _assign(mailing, experiment, user_id)
    fields: dict[str, Any] = {
        "arm_id": make_arm_id(mailing["_id"], name),
        **build_window(experiment, mailing.get("sent_at") or sent_at or now()),
    }
    if experiment["scope"] == "organization":
        fields["organization_wide"] = True
    if next(arm["held_out"] for arm in experiment["arms"] if arm["name"] == name):
        fields["held_out"] = True
    return fields


def build_window(experiment: StoredExperiment, since: datetime) -> dict[str, Any]:
    """Return an email's window: the times from which and until which gifts count for its arm."""
    until = since + timedelta(days=experiment["window_days"])
    return {"outcome_from": since, "outcome_until": until}


def _assign(mailing: MailingRow, experiment: StoredExperiment, user_id: ObjectId) -> str:
    key = derive_secret(ASSIGNMENT_KEY_PURPOSE)
    arms = [Arm(one["name"], one["weight"], one["held_out"]) for one in experiment["arms"]]
    return assign_arm(key, mailing["_id"], user_id, arms)


def make_arm_id(mailing_id: ObjectId, name: str) -> str:
    """Return the ID of an arm; see documents/arm.py."""
    return f"{mailing_id}:{name}"


def read_arm_name(arm_id: str) -> str:
    """Return the name in an arm's ID."""
    return arm_id.split(":", 1)[1]


def read_mailing_id(arm_id: str) -> ObjectId:
    """Return the mailing in an arm's ID."""
    return ObjectId(arm_id.split(":", 1)[0])
