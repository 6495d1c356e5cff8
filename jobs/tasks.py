"""Jobs. Each takes one or more IDs, loads the records, calls one method, and returns.

A job may run twice, late or never without harm, because the record itself carries its due mark.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps

from bson import ObjectId

from config.queue import huey
from config.settings import get_settings
from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error
from documents.matching import user_changes
from documents.matching.policy import MatchPolicy
from documents.payments import ingest as payments
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.shared_accounts import routing
from documents.tracking import ingest
from documents.tracking.rules import MachineClickRule
from jobs.wakeups import wakeup_buffer

# The queue and its jobs, as `huey_consumer jobs.tasks.huey` runs them.
__all__ = [
    "count_email",
    "count_mailing",
    "follow_user",
    "huey",
    "route_shared_post",
    "tally_delivery",
    "update_email_donation",
]

log = logging.getLogger(__name__)


def build_settling_policy() -> SettlingPolicy:
    """Return the policy for matching gifts and labelling clicks, from the settings."""
    current = get_settings()
    return SettlingPolicy(
        matching=MatchPolicy(window=timedelta(days=current.match_window_days)),
        clicks=MachineClickRule(
            links=current.machine_click_links,
            seconds=current.machine_click_seconds,
            agents=current.machine_click_agents,
            recipients=current.machine_click_recipients,
            recipient_seconds=current.machine_click_recipient_seconds,
        ),
    )


def _ids(told: tuple[str, ...]) -> list[ObjectId]:
    return [ObjectId(id_) for id_ in told]


def left_to_sweep(job: Callable[..., None]) -> Callable[..., None]:
    """Leave failed work to the sweep if the database is slow or unavailable."""

    @wraps(job)
    def run(*told: str) -> None:
        try:
            job(*told)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("%s: left to the sweep (%s)", job.__name__, describe_error(error))

    return run


@huey.task()
@left_to_sweep
def update_email_donation(*donation_ids: str) -> None:
    """Match donations to their emails, and count them."""
    settling.settle_records("donations", _ids(donation_ids), build_settling_policy())


@huey.task()
@left_to_sweep
def count_email(*email_ids: str) -> None:
    """Count emails on their users, mailings and fundraisers."""
    settling.settle_records("emails", _ids(email_ids), build_settling_policy())


@huey.task()
@left_to_sweep
def count_mailing(*mailing_ids: str) -> None:
    """Add the cost of mailings to their fundraisers."""
    settling.settle_records("mailings", _ids(mailing_ids), build_settling_policy())


@huey.task()
@left_to_sweep
def tally_delivery(*delivery_ids: str) -> None:
    """Count the events of webhook deliveries, or create the gifts that they report."""
    ingest.tally_deliveries(_ids(delivery_ids), build_settling_policy().clicks)
    payments.ingest_payment_deliveries(_ids(delivery_ids), build_settling_policy())


@huey.task()
@left_to_sweep
def route_shared_post(*post_ids: str) -> None:
    """Move the items of shared posts into deliveries of their organizations."""
    routing.route_named_posts(_ids(post_ids), wake_tally)


def wake_tally(delivery_id: ObjectId) -> None:
    """Wake a worker for a delivery that routing has made."""
    wakeup_buffer.put(tally_delivery, str(delivery_id))


@huey.task()
@left_to_sweep
def follow_user(*user_ids: str) -> None:
    """Match gifts from users' new addresses again."""
    for fundraiser_id in user_changes.mark_gifts_of_users():
        settling.settle_fundraiser(fundraiser_id, build_settling_policy(), None)
