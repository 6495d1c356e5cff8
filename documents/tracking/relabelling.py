"""Relabelling: labels stored clicks again after a change of the rule, one page at a time."""

import logging
import math
from typing import Self

from bson import ObjectId
from mongoengine import IntField, ObjectIdField, StringField, get_db

from documents.concurrency import retries
from documents.concurrency.batches import Batches
from documents.counters import LEDGER
from documents.matching import late_touches
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.storage import shutdown
from documents.storage.base import Document
from documents.storage.transaction import in_transaction
from documents.tracking import effects
from documents.tracking.click_labels import relabel_stored_clicks
from documents.tracking.rules import MachineClickRule
from matchback.engine import Changes, Tx, settle

log = logging.getLogger(__name__)

RELABELLING_NAME = "clicks"
EMAILS_PER_PAGE = 1000
EMAILS_PER_TRANSACTION = 50


class Relabelling(Document):
    """The rule of all current labels, and the progress of labelling by another rule."""

    name = StringField(primary_key=True, default=RELABELLING_NAME)
    rule = StringField()
    target = StringField()
    after = ObjectIdField()
    changed = IntField(default=0)

    meta = {"collection": "relabellings", "auto_create_index": False}

    @classmethod
    def is_done(cls, rule: MachineClickRule) -> bool:
        """Return whether all stored clicks have labels by this rule."""
        known = cls.objects(name=RELABELLING_NAME).first()
        return known is not None and known.rule == rule.fingerprint

    @classmethod
    def continue_with(cls, rule: MachineClickRule, *, again: bool = False) -> Self:
        """Continue with this rule. Start at the first email if the last rule was different."""
        known = cls.objects(name=RELABELLING_NAME).first() or cls()
        if again or known.target != rule.fingerprint:
            known.target, known.after, known.changed, known.rule = rule.fingerprint, None, 0, None
            known.save()
        return known

    def step(self, rule: MachineClickRule) -> bool:
        """Label the clicks of the next emails. Return whether this process has more to do."""
        query = {"_id": {"$gt": self.after}} if self.after else {}
        fields = {"clicks": 1, "machine_clicks": 1}
        found = (
            collection(get_db(), EmailRow).find(query, fields).sort("_id", 1).limit(EMAILS_PER_PAGE)
        )
        page = list(found)
        clicked = [row["_id"] for row in page if row.get("clicks") or row.get("machine_clicks")]
        if not self._relabel_all(clicked, rule):
            return True  # this process is stopping, so another one reads the page again
        return self._advance(page[-1]["_id"] if page else None)

    def _advance(self, last_id: ObjectId | None) -> bool:
        # A process that was paused must not move the progress of the one that took over.
        current = {"target": self.target, "after": self.after, "rule": None}
        unmoved = type(self).objects(name=RELABELLING_NAME, **current)
        # An ID would outlast its record, so a finished relabelling keeps none.
        progress = {"after": last_id} if last_id else {"rule": self.target, "unset__after": True}
        if not unmoved.update_one(changed=self.changed, **progress):
            return False
        self.after = last_id
        return last_id is not None

    def _relabel_all(self, email_ids: list[ObjectId], rule: MachineClickRule) -> bool:
        """Label the clicks of these emails. Return whether it reached the last email.

        Skip an email whose clicks cause an error.
        """
        reached = 0

        def skip(source: str, id_: ObjectId, error: Exception) -> None:
            nonlocal reached
            log.error("%s %s: cannot label clicks: %s", source, id_, retries.describe_error(error))
            reached += 1

        group = "clicks", None
        batches = Batches(group, EMAILS_PER_TRANSACTION, math.inf, note=skip, postpone=skip)

        def batch() -> int:
            some = email_ids[reached : reached + batches.limit]
            batches.taken = [("emails", id_) for id_ in some]
            self.changed += in_transaction(_relabel, some, rule)
            return len(some)

        while reached < len(email_ids) and not shutdown.has_begun():
            done = batches.take(batch)
            reached += done  # `skip` may have changed it meanwhile
        return reached == len(email_ids)


def _relabel(tx: Tx, email_ids: list[ObjectId], rule: MachineClickRule) -> int:
    """Label all clicks of these emails. Return how many moved between people and machines."""
    emails = {
        row["_id"]: row
        for row in collection(tx.database, EmailRow).find(
            {"_id": {"$in": email_ids}}, session=tx.session
        )
    }
    relabelled = relabel_stored_clicks(tx, emails, rule)
    touched = [emails[id_] for id_ in relabelled.click_times]
    changes = Changes(targets={"emails": touched})
    for email in emails.values():
        if mailing_id := email.get("mailing_id"):
            effects.hold_mailing(changes, mailing_id)
    effects.apply_relabelling(changes, relabelled)
    late_touches.mark_gifts_of_touched(tx, changes)
    settle(tx, LEDGER, changes)
    return relabelled.changed
