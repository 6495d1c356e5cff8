"""Opening and closing incidents, and storing the mails of their notices."""

import logging
from datetime import datetime

from documents.access.staff import Staff
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
        log.warning("notices of organization %s wait: too many", incident.organization_id)
        incident.postpone_notice(at)
        return False
    for staff in Staff.live(incident.organization_id, role="admin"):
        _put_mail(incident, staff)
    # A worker that is killed here stores the same mails again, which changes nothing.
    incident.note_notice(at)
    return True


def _put_mail(incident: Incident, staff: Staff) -> None:
    opened = incident.opened_at.isoformat(timespec="milliseconds")
    number = incident.notices + 1
    Mail.put(
        f"notice:{incident.key}:{opened}:{number}:{staff.id}",
        NOTICE_MAIL_KIND,
        organization_id=incident.organization_id,
        staff_id=staff.id,
        params={"incident": incident.key, "opened_at": incident.opened_at, "number": number},
    )
