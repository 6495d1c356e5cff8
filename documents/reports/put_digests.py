"""The step that puts the mails of due digests into the outbox, once for each period.

A mail's key names the staff member, the fundraiser and the period. If a process dies after it put
the mail, the next one finds the mail and continues from the figures in it.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bson import ObjectId

from config.transient_errors import is_transient
from documents.access.staff import Staff
from documents.digests.choice import (
    DigestChoice,
    end_digests_about,
    end_digests_of_staff,
    read_change_totals,
)
from documents.digests.rules import (
    DigestFrequency,
    DigestPeriod,
    find_last_period,
    find_next_due,
)
from documents.fundraiser import Fundraiser
from documents.mail.mail import Mail
from documents.organization import Organization
from documents.reports.digest_figures import (
    DigestFigures,
    build_digest_figures,
    count_matched_again,
)
from documents.storage import shutdown
from documents.values.rates import drop_zero_totals
from documents.values.time import now

log = logging.getLogger(__name__)

DIGEST_MAIL_KIND = "digest"
DIGESTS_PER_STEP = 200
# Longer than a transaction takes, so that no match of an earlier time appears afterwards.
MATCHES_COMPLETE_AFTER = timedelta(minutes=1)
NO_CHANGE_TOTALS: dict[str, Any] = {"refunded": {}, "bounced": 0, "unsubscribed": 0}
POSTPONED_BY = timedelta(minutes=10)  # after an error, so that other digests go first


class DigestBatch:
    """Digests that are due at one time. Digests of the same period share its figures."""

    def __init__(self, choices: Iterable[DigestChoice], at: datetime) -> None:
        self._at = at
        self._choices = list(choices)
        staff_ids = {one.staff_id for one in self._choices}
        self._staff = set(Staff.objects(id__in=list(staff_ids), deleted_at=None).scalar("id"))
        end_digests_of_staff(staff_ids - self._staff)
        fundraiser_ids = {one.fundraiser_id for one in self._choices}
        found = Fundraiser.objects(id__in=list(fundraiser_ids), deleted_at=None)
        self._fundraisers = {one.id: one for one in found}
        end_digests_about(fundraiser_ids - set(self._fundraisers))
        self._zones: dict[ObjectId, ZoneInfo] = {}
        self._figures: dict[tuple[ObjectId, DigestPeriod], DigestFigures] = {}
        self._matched_again: dict[tuple[ObjectId, datetime], int] = {}

    def put_mails(self) -> None:
        """Put the mail of each digest. A digest that cannot be built does not block others."""
        for choice in self._choices:
            if shutdown.has_begun():
                return
            fundraiser = self._fundraisers.get(choice.fundraiser_id)
            if fundraiser is None or choice.staff_id not in self._staff:
                continue
            try:
                self._put_mail(choice, fundraiser)
            except Exception as error:
                if is_transient(error):
                    raise
                log.exception("digest of %s: postponed", choice.fundraiser_id)
                choice.advance(next_due_at=self._at + POSTPONED_BY)

    def _put_mail(self, choice: DigestChoice, fundraiser: Fundraiser) -> None:
        zone = self._find_zone(choice.organization_id)
        period = find_last_period(choice.frequency, self._at, zone)
        key = f"digest:{choice.staff_id}:{choice.fundraiser_id}:{period.name}"
        params = self._build_params(choice, fundraiser, period, zone)
        if is_worth_sending(params) and not Mail.put(
            key,
            DIGEST_MAIL_KIND,
            organization_id=choice.organization_id,
            staff_id=choice.staff_id,
            params=params,
        ):
            # A process that died, or another one, has put the mail. Its changes are reported.
            known = Mail.objects(key=key).first()
            params = known.params if known else params
        choice.advance(
            next_due_at=find_next_due(choice.frequency, self._at, zone),
            changes_since=params["changes"]["until"],
            totals=params["totals"],
        )

    def _build_params(
        self, choice: DigestChoice, fundraiser: Fundraiser, period: DigestPeriod, zone: ZoneInfo
    ) -> dict[str, Any]:
        """Return what the renderer needs, and the totals for the next digest."""
        figures = self._figures.get((fundraiser.id, period))
        if figures is None:
            figures = build_digest_figures(fundraiser, period, zone)
            self._figures[fundraiser.id, period] = figures
        changes = self._build_changes(choice, fundraiser)
        params = build_digest_params(fundraiser.id, period, zone, figures, changes)
        return {**params, "totals": read_change_totals(fundraiser)}

    def _build_changes(self, choice: DigestChoice, fundraiser: Fundraiser) -> dict[str, Any]:
        since = choice.changes_since
        until = max(since, self._at - MATCHES_COMPLETE_AFTER)
        if (again := self._matched_again.get((fundraiser.id, since))) is None:
            again = count_matched_again(fundraiser.id, since, until)
            self._matched_again[fundraiser.id, since] = again
        changed = subtract_totals(read_change_totals(fundraiser), choice.totals)
        return {"since": since, "until": until, "matched_again": again, **changed}

    def _find_zone(self, organization_id: ObjectId) -> ZoneInfo:
        if (zone := self._zones.get(organization_id)) is None:
            zone = Organization.objects.get(id=organization_id).zone
            self._zones[organization_id] = zone
        return zone


def put_due_digests(at: datetime | None = None) -> bool:
    """Put the mails of some due digests. Return whether there were any."""
    at = at or now()
    choices = DigestChoice.list_due(at, DIGESTS_PER_STEP)
    if choices:
        DigestBatch(choices, at).put_mails()
    return bool(choices)


def build_digest_params(
    fundraiser_id: ObjectId,
    period: DigestPeriod,
    zone: ZoneInfo,
    figures: DigestFigures,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the parameters of a digest's mail. They hold no names."""
    return {
        "fundraiser_id": fundraiser_id,
        "frequency": period.frequency,
        "first": period.first.isoformat(),
        "time_zone": zone.key,
        **figures,
        "changes": changes,
    }


def build_preview_params(
    fundraiser: Fundraiser,
    frequency: DigestFrequency,
    period: DigestPeriod | None,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """Return the parameters of a digest that no one receives, by default of the last period."""
    period = period or find_last_period(frequency, now(), zone)
    since, until = period.get_bounds(zone)
    again = count_matched_again(fundraiser.id, since, until)
    nothing = subtract_totals(NO_CHANGE_TOTALS, {})
    changes = {"since": since, "until": until, "matched_again": again, **nothing}
    figures = build_digest_figures(fundraiser, period, zone)
    return build_digest_params(fundraiser.id, period, zone, figures, changes)


def subtract_totals(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return how much the counters of changes grew."""
    refunded, known = after["refunded"], before.get("refunded", {})
    codes = {*refunded, *known}
    return {
        "refunded": drop_zero_totals(
            {code: refunded.get(code, 0) - known.get(code, 0) for code in codes}
        ),
        "bounced": after["bounced"] - before.get("bounced", 0),
        "unsubscribed": after["unsubscribed"] - before.get("unsubscribed", 0),
    }


def is_worth_sending(params: dict[str, Any]) -> bool:
    """Return whether a digest has anything to report. A weekly digest is always sent."""
    changes = params["changes"]
    return bool(
        params["frequency"] == "weekly"
        or params["total"]["count"]
        or params["uncounted"]
        or any(changes[name] for name in ("matched_again", "refunded", "bounced", "unsubscribed"))
    )
