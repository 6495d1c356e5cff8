"""The jobs. Each is a wake-up with an id: it loads, calls one method, and is done.

Running one twice, late, or never changes nothing: what is due is marked in the record itself.
"""

from datetime import timedelta

from bson import ObjectId

from config.queue import huey
from config.settings import settings
from documents import payments, settling, tallying, user_changes
from documents.machine_clicks import Rule
from documents.match_policy import MatchPolicy
from documents.policy import Policy


def policy() -> Policy:
    """How gifts are matched and clicks are judged, as it is set."""
    current = settings()
    return Policy(
        matching=MatchPolicy(window=timedelta(days=current.match_window_days)),
        clicks=Rule(
            links=current.machine_click_links,
            seconds=current.machine_click_seconds,
            agents=current.machine_click_agents,
        ),
    )


@huey.task()
def update_email_donation(donation_id: str) -> None:
    """Match a donation to its email, and count it."""
    settling.settle_record("donations", ObjectId(donation_id), policy())


@huey.task()
def count_email(email_id: str) -> None:
    """Count an email on its user, mailing and fundraiser."""
    settling.settle_record("emails", ObjectId(email_id), policy())


@huey.task()
def count_mailing(mailing_id: str) -> None:
    """Count a mailing's cost on its fundraiser."""
    settling.settle_record("mailings", ObjectId(mailing_id), policy())


@huey.task()
def tally_delivery(delivery_id: str) -> None:
    """Count the events of a webhook delivery, or make the gift that it tells of."""
    tallying.tally_delivery(ObjectId(delivery_id), policy().clicks)
    payments.take_in_delivery(ObjectId(delivery_id), policy())


@huey.task()
def follow_user(user_id: str) -> None:
    """Let gifts from a user's new address look for their user and email."""
    for fundraiser_id in user_changes.follow():
        settling.settle_fundraiser(fundraiser_id, policy())
