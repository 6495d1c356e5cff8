"""Details of an incident, read when its notice is sent. They contain no name and no address."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from bson import ObjectId
from mongoengine import get_db

from documents.notices.incident import Incident
from documents.notices.problems import REPORTED_REJECTIONS, WAITING_REASONS
from documents.notices.rules import NoticeKind
from documents.outgoing.webhook_endpoint import DisabledReason, WebhookEndpoint
from documents.recount.background import list_drift_rounds
from documents.settling.failed_job import FAILED_FILTER, JOB_NAMES
from documents.webhook_rejections import RejectionReason, WebhookRejections

MAX_COUNTED = 1000


@dataclass(frozen=True)
class NoticeFacts:
    """Details that a notice reports.

    Attributes:
        count: number of jobs, counters, requests or payments, at most MAX_COUNTED.
        host: host of the endpoint. The rest of its URL may contain a secret.
        subject: ID of the endpoint, or name of the provider.
    """

    kind: NoticeKind
    since: datetime
    subject: str
    count: int = 0
    host: str = ""
    disabled_reason: DisabledReason | None = None
    rejection: RejectionReason | None = None


def read_facts(incident: Incident) -> NoticeFacts | None:
    """Return the details of an open incident; None if its endpoint is gone."""
    count = 0
    more: dict[str, Any] = {}
    organization_id = incident.organization_id
    match incident.kind:
        case "failed_jobs":
            count = _count_failed_jobs(organization_id)
        case "drift":
            rounds = list_drift_rounds()
            count = max((one.by_organization.get(organization_id, 0) for one in rounds), default=0)
        case "waiting_payment":
            query = {"organization_id": organization_id, "reason": {"$in": list(WAITING_REASONS)}}
            count = get_db().payments.count_documents(query, limit=MAX_COUNTED)
        case "rejected_requests":
            count, more = _read_rejections(organization_id, incident.subject)
        case "disabled_endpoint":
            found = WebhookEndpoint.live(organization_id, id=incident.subject).first()
            if found is None or found.enabled:
                return None
            host = urlsplit(found.url).hostname or ""
            more = {"host": host, "disabled_reason": found.disabled_reason}
    return NoticeFacts(incident.kind, incident.since, incident.subject, count, **more)


def _count_failed_jobs(organization_id: ObjectId) -> int:
    query = {"organization_id": organization_id, **FAILED_FILTER}
    counts: list[int] = [
        get_db()[name].count_documents(query, hint="failed", limit=MAX_COUNTED)
        for name in JOB_NAMES
    ]
    return min(MAX_COUNTED, sum(counts))


def _read_rejections(organization_id: ObjectId, provider: str) -> tuple[int, dict[str, Any]]:
    """Return the number of rejected requests for the latest reason, and the reason."""
    found = WebhookRejections.objects(organization_id=organization_id, provider=provider).first()
    notes = {
        reason: note
        for reason in REPORTED_REJECTIONS
        if found is not None and (note := found.reasons.get(reason))
    }
    if not notes:
        return 0, {}
    latest: RejectionReason = max(notes, key=lambda reason: notes[reason]["last_at"])
    return min(MAX_COUNTED, notes[latest]["count"]), {"rejection": latest}
