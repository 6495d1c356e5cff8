"""The stored sums of mailings, and the state of each fundraiser's computation."""

from collections.abc import Iterable

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    DictField,
    DynamicField,
    FloatField,
    IntField,
    ObjectIdField,
    StringField,
    get_db,
)

from documents.storage.base import Document
from documents.storage.marks import DUE_FILTER
from documents.storage.tenancy import OWNED_META


class Sensitivity(Document):
    """The sums of a mailing that one run found.

    A run adds to its own rows, page by page. Readers read the rows of the published run.

    - id: see `make_sensitivity_id`.
    - fundraiser_id: fundraiser of the gifts. It can differ from the mailing's own, because staff
      can pin a gift to any email.
    - number: number of the run.
    - sums: minor units, net of refunds, by rule and currency.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField(required=True)
    mailing_id = ObjectIdField(required=True)
    number = IntField(required=True)
    sums = DictField(required=True)

    meta = {
        "collection": "sensitivities",
        "auto_create_index": False,
        "indexes": ["mailing_id", ["fundraiser_id", "number"]],
        **OWNED_META,
    }


class SensitivityRun(Document):
    """The state of a fundraiser's computation.

    - changed_at: time of the last note of a change.
    - due: time from which a run may begin or continue; unset if nothing has changed.
    - next_at: earliest time of the next run.
    - number, snapshot, after, pages, seconds: number of the current run, the time that it reads,
      its last gift, its pages, and its processor time.
    - published, computed_at, policy: number of the last complete run, its time, and its policy.
    """

    id = ObjectIdField(primary_key=True)  # of the fundraiser
    organization_id = ObjectIdField(required=True)
    changed_at = DateTimeField(required=True)
    due = DateTimeField()
    next_at = DateTimeField()
    number = IntField()
    snapshot = DynamicField()
    after = ObjectIdField()
    pages = IntField()
    seconds = FloatField()
    published = IntField()
    computed_at = DateTimeField()
    policy = DictField(default=None)

    meta = {
        "collection": "sensitivity_runs",
        "auto_create_index": False,
        "indexes": [
            {
                "fields": ["organization_id", "due"],
                "name": "due_organization_id",
                "partialFilterExpression": DUE_FILTER,
            }
        ],
        **OWNED_META,
    }


def make_sensitivity_id(mailing_id: ObjectId, fundraiser_id: ObjectId, number: int) -> str:
    """Return the ID of a mailing's row for the gifts of a fundraiser, in a run."""
    return f"{mailing_id}:{fundraiser_id}:{number}"


def end_sensitivity(fundraiser_ids: Iterable[ObjectId]) -> None:
    """Remove everything that is stored for deleted fundraisers."""
    ids = list(fundraiser_ids)
    get_db().sensitivity_runs.delete_many({"_id": {"$in": ids}})
    get_db().sensitivities.delete_many({"fundraiser_id": {"$in": ids}})
