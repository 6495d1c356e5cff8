"""Rejected webhook requests of an organization, so that its staff see why nothing arrives.

A request that Matchback cannot authenticate may be hostile. So a note has no body, no address and
no header. Requests only count in memory, and a thread of each process writes the notes.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField, get_db
from mongoengine.connection import ConnectionFailure
from pymongo.errors import PyMongoError

from config.background import BackgroundThread
from config.observability.outage import Outage
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now
from matchback.engine import Update

log = logging.getLogger(__name__)

RejectionReason = Literal[
    "no_key",
    "unsigned",
    "wrong_signature",
    "too_large",
    "too_slow",
    "unreadable_body",
    "damaged_compression",
    "unknown_compression",
]
REJECTION_REASONS: tuple[RejectionReason, ...] = get_args(RejectionReason)
# These reasons show that the organization exists, because it has a key.
PROVEN_REASONS = frozenset({"unsigned", "wrong_signature"})
REJECTION_RETENTION_SECONDS = 30 * 24 * 3600
NOTE_INTERVAL_SECONDS = 1.0
MAX_PENDING_NOTES = 1000  # of organizations that may not exist

NoteKey = tuple[ObjectId, str]  # organization and provider


class WebhookRejections(Document):
    """The rejected requests of one provider, by reason.

    Other requests can therefore never displace the note of a reason.

    reasons: `count`, `first_at` and `last_at` of each reason.
    """

    organization_id = ObjectIdField(required=True)
    provider = StringField(required=True)
    updated_at = DateTimeField(required=True)
    reasons = DictField()

    meta = {
        "collection": "webhook_rejections",
        "auto_create_index": False,
        "indexes": [
            {"fields": ["organization_id", "provider"], "unique": True},
            {"fields": ["updated_at"], "expireAfterSeconds": REJECTION_RETENTION_SECONDS},
        ],
        **OWNED_META,
    }


@dataclass
class RejectionNote:
    """Rejected requests for one reason."""

    count: int
    first_at: datetime
    last_at: datetime


class RejectionNotes:
    """The notes of this process that are not stored yet."""

    def __init__(self) -> None:
        self._pending: dict[NoteKey, dict[RejectionReason, RejectionNote]] = {}
        self._unproven: set[NoteKey] = set()
        self._guard = threading.Lock()
        self._storing = threading.Lock()
        self._wanted = threading.Event()
        self._outage = Outage(log.warning, log.info)
        self._writing = BackgroundThread("webhook rejections", self._keep_writing)

    def note(self, organization_id: str, provider: str, reason: RejectionReason) -> None:
        """Count a rejected request. A thread stores the note within about a second."""
        key, at = (ObjectId(organization_id), provider), now()
        with self._guard:
            if not self._admit(key, reason):
                return
            notes = self._pending.setdefault(key, {})
            note = notes.setdefault(reason, RejectionNote(0, at, at))
            note.count, note.last_at = note.count + 1, at
        self._wanted.set()
        self._writing.ensure_started()

    def _admit(self, key: NoteKey, reason: RejectionReason) -> bool:
        """Return whether there is room. Invented organizations never take the room of others."""
        if reason in PROVEN_REASONS:
            self._unproven.discard(key)
            return True
        if key in self._pending:
            return True
        if len(self._unproven) >= MAX_PENDING_NOTES:
            return False
        self._unproven.add(key)
        return True

    def flush(self) -> None:
        """Store the notes of organizations that exist. Wait for another thread that stores some.

        Raises:
            PyMongoError: MongoDB is unavailable. The notes are lost.
        """
        with self._storing:
            self._store()

    def _store(self) -> None:
        with self._guard:
            pending, self._pending = self._pending, {}
            unproven, self._unproven = self._unproven, set()
        missing = _find_missing({organization_id for organization_id, _ in unproven})
        for (organization_id, provider), notes in pending.items():
            if organization_id not in missing:
                of = {"organization_id": organization_id, "provider": provider}
                get_db().webhook_rejections.update_one(of, _build_update(notes), upsert=True)

    def forget(self) -> None:
        """Drop the notes."""
        with self._guard:
            self._pending, self._unproven = {}, set()

    def _keep_writing(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self.flush()
                self._outage.end("notes of rejected webhook requests are stored again")
            except (PyMongoError, ConnectionFailure):
                self._outage.begin("notes of rejected webhook requests are lost: MongoDB fails")
            except Exception:
                log.exception("notes of rejected webhook requests were lost")
            time.sleep(NOTE_INTERVAL_SECONDS)


def _find_missing(ids: Iterable[ObjectId]) -> set[ObjectId]:
    """Return the IDs of organizations that do not exist, or are in deletion."""
    asked = set(ids)
    if not asked:
        return asked
    live = {"_id": {"$in": list(asked)}, "deleting_at": None}
    found = get_db().organizations.find(live, {"_id": 1})
    return asked - {row["_id"] for row in found}


def _build_update(notes: dict[RejectionReason, RejectionNote]) -> dict[str, Any]:
    update = Update().maximum({"updated_at": max(note.last_at for note in notes.values())})
    for reason, note in notes.items():
        update.increment({f"reasons.{reason}.count": note.count})
        update.minimum({f"reasons.{reason}.first_at": note.first_at})
        update.maximum({f"reasons.{reason}.last_at": note.last_at})
    return update.operators


rejection_notes = RejectionNotes()
