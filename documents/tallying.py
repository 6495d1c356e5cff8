"""Tallying: from stored deliveries to exact counters, in one transaction.

Events are immutable and identified, so being stored is being counted: the transaction inserts
those that are new, adds them to their emails (and through these to mailing and fundraiser), and
takes the deliveries' due marks away. All of it or nothing, however often it runs.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from config import metrics
from documents import ending, sendgrid, trouble, turn
from documents.clock import now
from documents.engine.contribution import Row
from documents.inbox import Inbox
from documents.machine_clicks import Rule
from documents.marks import DUE, due_of
from documents.reader import Reader
from documents.sendgrid import PROVIDER
from documents.single_flight import SingleFlight
from documents.tally_batch import TallyBatch
from documents.transaction import in_transaction, on_commit

log = logging.getLogger(__name__)

_flights = SingleFlight()


def tally_organization(organization_id: ObjectId, rule: Rule) -> int:
    """Count everything that is due of an organization's deliveries. Returns how many there were."""
    return _flights.run(organization_id, lambda: _tally_all(organization_id, rule))


def tally_deliveries(ids: list[ObjectId], rule: Rule) -> int:
    """Count deliveries, and with them what else is due of their organizations."""
    due = due_of("deliveries", ids, "organization_id", provider=PROVIDER)
    return sum(tally_organization(organization_id, rule) for organization_id in due)


def _tally_all(organization_id: ObjectId, rule: Rule) -> int:
    done = 0
    group = {"organization_id": organization_id, "provider": PROVIDER}
    try:
        with Reader() as reader:
            done += turn.until_done(
                turn.of_organization(organization_id),
                lambda: in_transaction(_tally_in_turn, group, rule, reader, count()),
            )
    except Exception as error:
        if trouble.is_passing(error):
            raise
        log.warning(
            "organization %s: tallying one by one, for %s", organization_id, trouble.describe(error)
        )
        done += _tally_one_by_one(group, rule)
    return done


def _tally_one_by_one(group: dict[str, Any], rule: Rule) -> int:
    """What one event spoils for its batch, the others get by themselves."""
    done = 0
    query = {**group, **DUE, **trouble.not_postponed(now())}
    for row in list(get_db().deliveries.find(query, {"items": 1}).sort("due", 1)):
        if ending.has_begun():
            break
        done += trouble.attempt("deliveries", row["_id"], _tally_alone, row, rule)
    return done


def _tally_alone(delivery: Row, rule: Rule) -> None:
    """Tally one delivery; should that fail, each of its events, and then say that it failed."""
    one = {"_id": delivery["_id"], **DUE}
    try:
        while in_transaction(_tally, one, rule):
            pass
    except Exception as error:
        if trouble.is_passing(error):
            raise
        reader = Reader()  # one for all, so that the post is parsed once
        for index in range(delivery["items"]):
            if ending.has_begun():
                break
            with contextlib.suppress(Exception):  # the delivery's own failure tells of it
                in_transaction(_tally, one, rule, only=index, reader=reader)
        raise


def _tally_in_turn(
    database: Database,
    session: ClientSession,
    group: dict[str, Any],
    rule: Rule,
    reader: Reader,
    tries: Iterator[int],
) -> int:
    turn.take(database, session, f"events:{group['organization_id']}")
    turn.take(database, session, turn.of_organization(group["organization_id"]))
    # Hardly any post is sent twice, and what is stored already cannot be stored again: so it is
    # looked for only when storing it was refused.
    return _tally(database, session, group, rule, reader=reader, are_new=next(tries) == 0)


def _tally(
    database: Database,
    session: ClientSession,
    group: dict[str, Any],
    rule: Rule,
    only: int | None = None,
    reader: Reader | None = None,
    are_new: bool = False,
) -> int:
    """Tally due deliveries in a transaction; with `only`, that event of them and no more."""
    inbox = Inbox(database, session, reader)
    taken = inbox.take_in(group, only)
    if taken:
        batch = TallyBatch(database, session, inbox.organization_id, rule, inbox)
        batch.write(are_new)
        if only is None:
            inbox.note_outcomes()
            on_commit(partial(_measure, inbox, batch.new, taken))
    return taken


def _measure(inbox: Inbox, new: list[Row], deliveries: int) -> None:
    """Once a batch. What was known already is repeated, whichever post told of it before."""
    reported = Counter(one.report.type for one in inbox.reports)
    told = Counter((one["type"], "email_id" in one) for one in new)
    fates: Counter[tuple[str, str]] = Counter()
    for (type_, is_tied), number in told.items():
        fates[_known(type_), "counted" if is_tied else "unmatched"] += number
        reported[type_] -= number
    for type_, number in reported.items():
        fates[_known(type_), "repeated"] += number
    fates["unknown", "refused"] = sum(len(one.refused) for one in inbox.outcomes.values())
    metrics.webhook_events(+fates)
    metrics.settled("deliveries", inbox.finished, now())
    metrics.batch(deliveries=deliveries, events=len(inbox.reports))


def _known(type_: str) -> str:
    """A provider may send any word, and each would be a series for ever."""
    return type_ if type_ in sendgrid.TYPES else "other"


def look_again(organization_id: ObjectId, rule: Rule) -> int:
    """Tie what could not be tied when it came. Returns how many events were looked at."""
    done = 0
    while not ending.has_begun() and (batch := in_transaction(_look_again, organization_id, rule)):
        done += batch
    return done


def _look_again(
    database: Database, session: ClientSession, organization_id: ObjectId, rule: Rule
) -> int:
    return TallyBatch(database, session, organization_id, rule).look_again()
