"""Experiments of a run: one mailing for each fundraiser, and its check after convergence."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from bson import ObjectId
from mongoengine import get_db

from documents.experiment_changes import set_experiment
from documents.mailing import Mailing
from documents.rows.experiment import StoredArm
from documents.values.time import now
from tests.integration.documents.outcomes.recomputed import read_arms, recompute_arms

SENT_AGO = timedelta(days=2)  # some gifts are older, so they are outside the window
ARMS: list[StoredArm] = [
    {"name": "sent", "weight": 2, "held_out": False},
    {"name": "held", "weight": 1, "held_out": True},
]


def create_experiments(organization_id: ObjectId, fundraisers: Sequence[str]) -> dict[str, str]:
    """Return the mailing of each fundraiser, which has an experiment."""
    mailings = {}
    for number, fundraiser in enumerate(fundraisers):
        values = {"fundraiser_id": fundraiser, "name": "Tested", "sent_at": now() - SENT_AGO}
        mailing = Mailing.create(organization_id, values)
        scope = "organization" if number else "fundraiser"
        set_experiment(mailing, {"arms": ARMS, "window_days": 30, "scope": scope})
        mailings[fundraiser] = str(mailing.id)
    return mailings


def compare_experiments(held: Mapping[str, str]) -> Iterator[str]:
    """Yield each difference between the arms and the emails and gifts, recomputed from nothing.

    Args:
        held: fundraiser by email, of the emails that were answered as held out.
    """
    kept, right = read_arms(), recompute_arms()
    for arm in sorted(kept.keys() | right.keys()):
        if kept.get(arm) != right.get(arm):
            yield f"arm {arm}: {kept.get(arm)} kept, {right.get(arm)} recomputed"
    ids = [ObjectId(email) for email in held]
    for gift in get_db().donations.find({"email_id": {"$in": ids}}, {"email_id": 1}):
        yield f"gift {gift['_id']} matches the held-out email {gift['email_id']}"
    stored = get_db().emails.count_documents({"_id": {"$in": ids}, "held_out": True})
    if stored != len(held):
        yield f"{stored} held-out emails stored, {len(held)} acknowledged"
