"""Opening and closing incidents, and storing the mails of their notices."""

import logging
from datetime import datetime

from bson import ObjectId
from mongoengine import get_db

from documents.mail.mail import Mail
from documents.notices.incident import Incident
from documents.notices.problems import list_problems
from documents.values.time import now

log = logging.getLogger(__name__)

NOTICE_MAIL_KIND = "notice"


def watch_problems() -> int:
    """Open and close incidents, and store the mails that are due. Return the number of notices."""
    at = now()
    problems = {one.key: one for one in list_problems(at)}
    known = {one.key: one for one in Incident.list_open()}
    for key, problem in problems.items():
        if key not in known:
            Incident.open(problem, at)
    for key, incident in known.items():
        if key not in problems:
            incident.close(at)
    return sum(_notify(one, at) for one in Incident.list_open())


def _notify(incident: Incident, at: datetime) -> bool:
    if incident.next_notice_at is None or incident.next_notice_at > at:
        return False
    if not incident.has_budget(at):
        log.warning("%s notices of %s wait: too many", incident.kind, incident.organization_id)
        incident.postpone_notice(at)
        return False
    for staff_id in _list_admins(incident.organization_id):
        _put_mail(incident, staff_id)
    # A worker that is killed here stores the same mails again, which changes nothing.
    incident.note_notice(at)
    return True


def _list_admins(organization_id: ObjectId) -> list[ObjectId]:
    """Return the IDs of the admins. The class `Staff` would load the hashing of passwords."""
    query = {"organization_id": organization_id, "role": "admin", "deleted_at": None}
    return [row["_id"] for row in get_db().staff.find(query, {"_id": 1})]


def _put_mail(incident: Incident, staff_id: ObjectId) -> None:
    opened = incident.opened_at.isoformat(timespec="milliseconds")
    number = incident.notices + 1
    Mail.put(
        f"notice:{incident.key}:{opened}:{number}:{staff_id}",
        NOTICE_MAIL_KIND,
        organization_id=incident.organization_id,
        staff_id=staff_id,
        params={"incident": incident.key, "opened_at": incident.opened_at, "number": number},
    )
