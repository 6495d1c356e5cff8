"""Times at which notices are due. Pure.

A problem that begins and ends repeatedly must not fill a mailbox.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, get_args

NoticeKind = Literal[
    "failed_jobs",
    "drift",
    "disabled_endpoint",
    "rejected_requests",
    "waiting_payment",
]
NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)

NOTICE_INTERVAL = timedelta(hours=1)  # of one kind and subject
REMINDER_AFTER = timedelta(hours=24)
BUDGET_PERIOD = timedelta(hours=24)
MAX_NOTICES_PER_PERIOD = 20  # of one organization and kind
BUDGET_PAUSE = timedelta(hours=1)
# Only the next round, which takes about a day, shows that counters are correct again.
KINDS_WITHOUT_REMINDER: frozenset[NoticeKind] = frozenset({"drift"})


def choose_first_notice(earlier: Iterable[datetime], at: datetime) -> datetime:
    """Return when to send the notice of a problem that begins.

    Args:
        earlier: times of earlier notices of the same kind and subject.
    """
    last = max(earlier, default=None)
    return at if last is None else max(at, last + NOTICE_INTERVAL)


def choose_next_notice(kind: NoticeKind, sent: int, at: datetime) -> datetime | None:
    """Return when to send the next notice of a problem that lasts; None for no more notices.

    Args:
        sent: number of notices since the problem began.
    """
    has_reminder = sent == 1 and kind not in KINDS_WITHOUT_REMINDER
    return at + REMINDER_AFTER if has_reminder else None


def is_within_budget(earlier: Iterable[datetime], at: datetime) -> bool:
    """Return whether an organization may receive one more notice of a kind."""
    return len(keep_recent(earlier, at)) < MAX_NOTICES_PER_PERIOD


def keep_recent(times: Iterable[datetime], at: datetime) -> list[datetime]:
    """Return the times that count for the budget."""
    return [time for time in times if at - time < BUDGET_PERIOD]
