"""The audit of acts: an append-only list for each organization, chained by hashes.

The service notes an act before it happens, and its outcome afterwards. One worker at a time links
finished acts into the chain, so no request waits for another. If a process dies during an act, the
worker links the act without an outcome. Entries contain IDs only: no names, addresses, or values.
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
# Longer than an act can take, so the process that began it has died.
ACT_ABANDONED_AFTER = timedelta(seconds=60)
ACTS_PER_BATCH = 500
ACT_FIELDS = ("actor", "action", "record", "fields", "outcome")


class _Act(Document):
    """A change, with its actor and its outcome.

    Attributes:
        actor: "key:<id>", "staff:<id>", "sign-on provider" or "command line".
        action: the HTTP verb and the route, or the command.
        record: the ID in the route, or of the new staff member.
        fields: the names of the fields in the request. A staff role has its value, too.
        outcome: the HTTP status; None if it is unknown.
    """

    organization_id = ObjectIdField(null=True)  # null for acts on the whole service
    at = DateTimeField(required=True)
    actor = StringField(required=True)
    action = StringField(required=True)
    record = StringField()
    fields = ListField(StringField())
    outcome = IntField()

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False, **OWNED_META}

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return a list's filters as conditions on stored fields."""
        return given | ({"record": str(given["record"])} if "record" in given else {})


class OpenAct(_Act):
    """An act that a worker has not linked into the chain yet."""

    finished_at = DateTimeField()

    meta = {"collection": "open_acts", "indexes": ["at"]}

    @classmethod
    def begin(cls, organization_id: ObjectId | None, actor: str, action: str, **more: Any) -> Self:
        """Note an act that is about to happen."""
        of = {"organization_id": organization_id, "actor": actor, "action": action, "at": now()}
        entry: Self = cls(**of, **more).save(force_insert=True)
        return entry

    def move(self, organization_id: ObjectId, record: str) -> Self:
        """Move the note to the organization of the act, once it is known, and name the record."""
        kept = {"actor": self.actor, "action": self.action, "at": self.at}
        moved = type(self)(
            organization_id=organization_id, record=record, fields=list(self.fields), **kept
        )
        moved.save(force_insert=True)
        self.delete()  # a process that dies before leaves two entries, which is better than none
        return moved

    def finish(self, outcome: int, record: str | None = None) -> None:
        """Note the outcome, an HTTP status, and the record that the act created."""
        own = type(self).objects(id=self.id, organization_id=self.organization_id)
        created = {"set__record": record} if record else {}
        own.update_one(set__outcome=outcome, set__finished_at=now(), **created)

    def withdraw(self) -> None:
        """Delete the note of an act that the service rejected, because nothing changed."""
        self.delete()


class AuditEntry(_Act):
    """An entry in an organization's chain. `hash` covers all fields, including `previous`."""

    seq = IntField(required=True)
    previous = StringField(required=True)
    hash = StringField(required=True)

    ties = False  # `seq` is unique within an organization

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
        """Return the last entry of a chain; None if the chain is empty."""
        last: Self | None = cls.objects(organization_id=organization_id).order_by("-seq").first()
        return last

    def digest(self) -> str:
        """Compute the hash of the entry: SHA-256 of its content as JSON with sorted names."""
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
    """Link finished acts into their chains, oldest first, and return how many.

    Only one process may run this at a time. If it dies midway, the next run continues. It links no
    act twice, because an entry has the ID of its act.
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
    """The result of verifying a chain. `broken_at` is the `seq` of the first incorrect entry."""

    organization_id: ObjectId | None
    entries: int
    head: str
    broken_at: int | None = None


def verify_chain(organization_id: ObjectId | None, head: str | None = None) -> ChainVerification:
    """Verify a chain from its beginning.

    Args:
        head: the head that an earlier verification returned, such as "12:ab…". The chain must
            still contain it. Otherwise, someone removed or replaced the end of the chain.
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
    """Yield the organization of each chain; None for the chain of the whole service."""
    yield from AuditEntry.objects.distinct("organization_id")
