"""The audit of acts: an append-only list for each organization, chained by hashes.

The service notes an act before it happens, and its outcome afterwards. One worker at a time links
finished acts into the chain, so no request waits for another. An act without an outcome, because
its process died, is linked without one. Entries contain IDs only: no names, addresses, or values.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

COMMAND_LINE_ACTOR = "command line"
FIRST_PREVIOUS_HASH = "0" * 64
# Longer than an act can take: by then whoever did it has died.
ACT_ABANDONED_AFTER = timedelta(seconds=60)
ACTS_PER_BATCH = 500
ACT_FIELDS = ("actor", "action", "record", "fields", "outcome")


class _Act(Document):
    """What was done.

    actor: "key:<id>", "staff:<id>" or the command line. action: verb and route, or the command.
    record: the id in the route. fields: which were sent. outcome: the HTTP status, or none if it
    is not known.
    """

    organization_id = ObjectIdField(null=True)  # null: the whole service's
    at = DateTimeField(required=True)
    actor = StringField(required=True)
    action = StringField(required=True)
    record = StringField()
    fields = ListField(StringField())
    outcome = IntField()

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False, **OWNED_META}

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A list's filters as conditions on stored fields."""
        return given | ({"record": str(given["record"])} if "record" in given else {})


class OpenAct(_Act):
    """An act that is not in the chain yet."""

    finished_at = DateTimeField()

    meta = {"collection": "open_acts", "indexes": ["at"]}

    @classmethod
    def begin(cls, organization_id: ObjectId | None, actor: str, action: str, **more: Any) -> Self:
        """Note what is about to be done."""
        of = {"organization_id": organization_id, "actor": actor, "action": action, "at": now()}
        entry: Self = cls(**of, **more).save(force_insert=True)
        return entry

    def finish(self, outcome: int) -> None:
        """It is done."""
        own = type(self).objects(id=self.id, organization_id=self.organization_id)
        own.update_one(set__outcome=outcome, set__finished_at=now())

    def withdraw(self) -> None:
        """It was refused: nothing was done."""
        self.delete()


class AuditEntry(_Act):
    """A link of an organization's chain. `hash` is over all the rest, `previous` included."""

    seq = IntField(required=True)
    previous = StringField(required=True)
    hash = StringField(required=True)

    ties = False  # seq is unique in an organization

    meta = {
        "collection": "audit",
        "indexes": [
            {"fields": ["organization_id", "seq"], "unique": True},
            ["organization_id", "record", "seq"],
            ["organization_id", "actor", "seq"],
        ],
    }

    @classmethod
    def last(cls, organization_id: ObjectId | None) -> Self | None:
        """The end of a chain."""
        last: Self | None = cls.objects(organization_id=organization_id).order_by("-seq").first()
        return last

    def digest(self) -> str:
        """What its hash should be: SHA-256 of its content as JSON with sorted names."""
        content = {name: getattr(self, name) for name in ACT_FIELDS}
        content["fields"] = list(self.fields)
        content |= {
            "id": str(self.id),
            "organization_id": str(self.organization_id),
            "seq": self.seq,
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "previous": self.previous,
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def link_finished_acts() -> int:
    """Link finished acts into their chains, the oldest first. For one process at a time.

    Dying in between does no harm: an entry has its act's id, and is not made a second time.
    """
    abandoned = {"finished_at": None, "at": {"$lt": now() - ACT_ABANDONED_AFTER}}
    ready = {"$or": [{"finished_at": {"$ne": None}}, abandoned]}
    acts = list(OpenAct.objects(__raw__=ready).order_by("id").limit(ACTS_PER_BATCH))
    for act in acts:
        if AuditEntry.objects(id=act.id, organization_id=act.organization_id).first() is None:
            _append(act)
        act.delete()
    return len(acts)


def _append(act: OpenAct) -> None:
    last = AuditEntry.last(act.organization_id)
    entry = AuditEntry(
        id=act.id,
        organization_id=act.organization_id,
        at=act.at,
        **{name: getattr(act, name) for name in ACT_FIELDS},
        seq=last.seq + 1 if last else 1,
        previous=last.hash if last else FIRST_PREVIOUS_HASH,
        hash=FIRST_PREVIOUS_HASH,
    )
    entry.hash = entry.digest()
    entry.save(force_insert=True)


@dataclass(frozen=True)
class ChainVerification:
    """What verifying a chain found. `broken_at`: the first entry that is not as it was made."""

    organization_id: ObjectId | None
    entries: int
    head: str
    broken_at: int | None = None


def verify_chain(organization_id: ObjectId | None, head: str | None = None) -> ChainVerification:
    """Read a chain from its beginning.

    Args:
        head: as an earlier verification told it, "12:ab…": the chain must still go through it, or
            its end was cut off and perhaps made anew.
    """
    noted_seq, _, noted_hash = (head or "0:").partition(":")
    previous, seq = FIRST_PREVIOUS_HASH, 0
    for entry in AuditEntry.objects(organization_id=organization_id).order_by("seq"):
        is_linked = (entry.seq, entry.previous) == (seq + 1, previous)
        is_noted = entry.seq != int(noted_seq) or entry.hash == noted_hash
        if not (is_linked and is_noted and entry.hash == entry.digest()):
            return ChainVerification(organization_id, seq, f"{seq}:{previous}", broken_at=seq + 1)
        previous, seq = entry.hash, seq + 1
    is_cut = int(noted_seq) > seq
    return ChainVerification(organization_id, seq, f"{seq}:{previous}", seq + 1 if is_cut else None)


def list_chain_owners() -> Iterator[ObjectId | None]:
    """Whose chains there are."""
    yield from AuditEntry.objects.distinct("organization_id")
