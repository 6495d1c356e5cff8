"""Payment webhooks as gifts. Each payment is one gift, in whatever order webhooks arrive.

One transaction merges what a webhook reports into the payment's facts. It creates or updates the
gift that follows from all facts, and marks it due. A repeated webhook changes nothing.
"""

import contextlib
import json
import logging
from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any

from bson import ObjectId

from config.observability import metrics
from documents.concurrency.batches import ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.erased import bodies as erased_bodies
from documents.erased import customers as erased_customers
from documents.erased import items as erased_items
from documents.errors import Unusable
from documents.payments import standard_webhooks
from documents.payments.book import Book, Told
from documents.payments.reasons import TEST_MODE, UNKNOWN_CURRENCY, UNUSABLE
from documents.payments.stripe import facts as stripe_events
from documents.payments.stripe import unusable
from documents.providers.registry import OF_PAYMENTS
from documents.providers.sendgrid import ERASED
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.settling import settle as settling
from documents.settling.policies import Policy
from documents.storage.marks import due_of
from documents.values.stripe_values import UnknownCurrency
from documents.values.time import now
from matchback.engine import Tx

log = logging.getLogger(__name__)

DELIVERIES_A_BATCH = 50
OUTCOMES = ("counted_events", "unmatched_events", "refused_events")

_flights = SingleFlight()


def take_in(
    organization_id: ObjectId, policy: Policy, seconds: float | None = ISOLATION_SECONDS
) -> int:
    """Make gifts of what is due of an organization's payment webhooks, and settle them.

    Returns how many webhooks there were.

    Args:
        seconds: how long to isolate bad records; None leaves them to the sweep.
    """
    return _flights.run(organization_id, lambda: _take_in_all(organization_id, policy, seconds))


def take_in_deliveries(ids: list[ObjectId], policy: Policy) -> int:
    """Take in webhooks, and with them what else is due of their organizations."""
    due = due_of("deliveries", ids, "organization_id", provider={"$in": OF_PAYMENTS})
    return sum(take_in(organization_id, policy, None) for organization_id in due)


def _take_in_all(organization_id: ObjectId, policy: Policy, seconds: float | None) -> int:
    fundraisers = set[ObjectId]()
    group = {"organization_id": organization_id, "provider": {"$in": OF_PAYMENTS}}
    drain = Drain(("payments of organization", organization_id), DELIVERIES_A_BATCH, seconds)
    try:
        return drain.run(_take_in, drain, group, fundraisers)
    finally:  # The gifts of committed batches have waited long enough.
        for fundraiser_id in fundraisers:
            settling.settle_fundraiser(fundraiser_id, policy, seconds)


def _take_in(tx: Tx, drain: Drain, group: dict[str, Any], changed: set[ObjectId]) -> int:
    """Take in the next due webhooks. Returns how many there were.

    Args:
        changed: gets the fundraisers whose gifts are due, once the transaction is committed.
    """
    deliveries = drain.read(tx, "deliveries", group)
    fundraisers: set[ObjectId] = set()
    fates: Counter[tuple[str, str]] = Counter()
    for delivery in deliveries:
        book = Book(tx, delivery["organization_id"], delivery["provider"])
        reason, outcome = None, "counted_events"
        try:
            if not (gifts := book.enter(read(delivery))):
                outcome = "unmatched_events"
            fundraisers |= gifts
            if book.notes:
                reason, outcome = "; ".join(book.notes), "refused_events"
                log.warning("delivery %s: %s", delivery["_id"], reason)
        except Unusable as error:
            reason, outcome = str(error), "refused_events"
            log.warning("delivery %s: %s", delivery["_id"], reason)
        if book.tells_of_erased or _is_about_erased(tx, delivery):
            item = delivery["_id"], 0
            erased_items.note(tx, delivery["organization_id"], [item])
        _note(tx, delivery["_id"], outcome, reason)
        fates[delivery["provider"], outcome.removesuffix("_events")] += 1
    if deliveries:
        read_ones = [delivery["_id"] for delivery in deliveries]
        of = deliveries[0]["organization_id"]
        erased_bodies.note_repeated(tx, of, read_ones)
    tx.on_commit(partial(_measure, fates, [delivery["due"] for delivery in deliveries]))
    tx.on_commit(partial(changed.update, fundraisers))
    return len(deliveries)


def _is_about_erased(tx: Tx, delivery: WebhookDeliveryRow) -> bool:
    """Return whether a webhook about a customer, and no payment, is about an erased person."""
    if b'"customer' not in delivery["body"]:
        return False
    with contextlib.suppress(Unusable):
        if not (told := read(delivery)).facts and not told.link:
            body = json.loads(bytes(delivery["body"]))
            of = delivery["organization_id"]
            return erased_customers.is_known(tx, of, body)
    return False


def _measure(fates: Counter[tuple[str, str]], due: list[datetime]) -> None:
    metrics.webhook_events(fates)
    metrics.settled("deliveries", due, now())


def read(delivery: WebhookDeliveryRow) -> Told:
    """What a stored webhook tells.

    Raises:
        Unusable: it cannot be understood; with a reason that repeats nothing of it.
    """
    try:
        body = json.loads(bytes(delivery["body"]))
    except (ValueError, RecursionError):
        raise Unusable("the body is no JSON") from None
    if body == [ERASED]:
        return Told()
    if delivery["provider"] == "stripe":
        return _read_stripe(body, may_be_test=bool(delivery.get("by_test_key")))
    key, fact = standard_webhooks.read(body)
    return Told({key: fact})


def _read_stripe(body: Any, *, may_be_test: bool) -> Told:
    """What an event of Stripe's tells. An event that cannot count still lists its payment."""
    if not stripe_events.is_live(body) and not may_be_test:
        if facts := unusable.read(body, TEST_MODE):
            return Told(facts, note=UNUSABLE[TEST_MODE])
        raise Unusable(UNUSABLE[TEST_MODE])
    try:
        return Told(stripe_events.read(body), stripe_events.link_of(body))
    except UnknownCurrency:
        if facts := unusable.read(body, UNKNOWN_CURRENCY):
            return Told(facts, note=UNUSABLE[UNKNOWN_CURRENCY])
        raise


def _note(tx: Tx, id_: ObjectId, outcome: str, reason: str | None) -> None:
    counts = {name: int(name == outcome) for name in OUTCOMES}
    refused = [{"index": 0, "reason": reason}] if reason else []
    update = {
        "$set": {**counts, "refused": refused, "tallied_at": now()},
        "$unset": {"due": "", "trouble": ""},
    }
    tx.database.deliveries.update_one({"_id": id_}, update, session=tx.session)
