"""Ingest of payment webhooks. Each payment becomes one gift, in any order of webhooks.

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
from documents.concurrency.batches import GROUP_ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.erased import bodies as erased_bodies
from documents.erased import customers as erased_customers
from documents.erased import items as erased_items
from documents.errors import Unusable
from documents.payments import standard_webhooks
from documents.payments.book import PaymentWriter, WebhookFacts
from documents.payments.reasons import TEST_MODE_REASON, UNKNOWN_CURRENCY_REASON, UNUSABLE_REASONS
from documents.payments.stripe import facts as stripe_events
from documents.payments.stripe import unusable
from documents.providers.registry import PAYMENT_PROVIDERS
from documents.providers.report import ERASED_ITEM
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage.marks import find_due_groups
from documents.values.stripe_values import UnknownCurrency
from documents.values.time import now
from matchback.engine import Tx

log = logging.getLogger(__name__)

PAYMENT_WEBHOOKS_PER_BATCH = 50
PAYMENT_WEBHOOK_OUTCOMES = ("counted_events", "unmatched_events", "refused_events")

_flights = SingleFlight()


def ingest_payments(
    organization_id: ObjectId,
    policy: SettlingPolicy,
    seconds: float | None = GROUP_ISOLATION_SECONDS,
) -> int:
    """Turn an organization's due payment webhooks into gifts, and settle these gifts.

    Return the number of webhooks.

    Args:
        seconds: how long this run may isolate bad records; None leaves them to the sweep.
    """
    return _flights.run(organization_id, lambda: _take_in_all(organization_id, policy, seconds))


def ingest_payment_deliveries(ids: list[ObjectId], policy: SettlingPolicy) -> int:
    """Ingest webhooks, together with all other due payment webhooks of their organizations."""
    due = find_due_groups("deliveries", ids, "organization_id", provider={"$in": PAYMENT_PROVIDERS})
    return sum(ingest_payments(organization_id, policy, None) for organization_id in due)


def _take_in_all(organization_id: ObjectId, policy: SettlingPolicy, seconds: float | None) -> int:
    fundraisers = set[ObjectId]()
    group = {"organization_id": organization_id, "provider": {"$in": PAYMENT_PROVIDERS}}
    drain = Drain(
        ("payments of organization", organization_id),
        PAYMENT_WEBHOOKS_PER_BATCH,
        seconds,
        owner=organization_id,
    )
    try:
        return drain.run(_take_in, drain, group, fundraisers)
    finally:  # Settle the gifts of committed batches even after an error.
        for fundraiser_id in fundraisers:
            settling.settle_fundraiser(fundraiser_id, policy, seconds)


def _take_in(tx: Tx, drain: Drain, group: dict[str, Any], changed: set[ObjectId]) -> int:
    """Ingest the next due webhooks, and return how many.

    Args:
        changed: receives the fundraisers whose gifts are due, after the transaction commits.
    """
    deliveries = drain.read(tx, "deliveries", group)
    fundraisers: set[ObjectId] = set()
    fates: Counter[tuple[str, str]] = Counter()
    for delivery in deliveries:
        book = PaymentWriter(tx, delivery["organization_id"], delivery["provider"])
        reason, outcome = None, "counted_events"
        try:
            if not (gifts := book.enter(read_payment_webhook(delivery))):
                outcome = "unmatched_events"
            fundraisers |= gifts
            if book.notes:
                reason, outcome = " ".join(book.notes), "refused_events"
                log.warning("delivery %s: %s", delivery["_id"], reason)
        except Unusable as error:
            reason, outcome = str(error), "refused_events"
            log.warning("delivery %s: %s", delivery["_id"], reason)
        if book.is_about_erased or _is_about_erased(tx, delivery):
            item = delivery["_id"], 0
            erased_items.note_items(tx, delivery["organization_id"], [item])
        _note(tx, delivery["_id"], outcome, reason)
        fates[delivery["provider"], outcome.removesuffix("_events")] += 1
    if deliveries:
        read_ones = [delivery["_id"] for delivery in deliveries]
        of = deliveries[0]["organization_id"]
        erased_bodies.note_repeated_posts(tx, of, read_ones)
    tx.on_commit(partial(_measure, fates, [delivery["due"] for delivery in deliveries]))
    tx.on_commit(partial(changed.update, fundraisers))
    return len(deliveries)


def _is_about_erased(tx: Tx, delivery: WebhookDeliveryRow) -> bool:
    """Return whether a webhook without a payment is about an erased customer."""
    if b'"customer' not in delivery["body"]:
        return False
    with contextlib.suppress(Unusable):
        if not (told := read_payment_webhook(delivery)).facts and not told.link:
            body = json.loads(bytes(delivery["body"]))
            of = delivery["organization_id"]
            return erased_customers.is_about_erased_customer(tx, of, body)
    return False


def _measure(fates: Counter[tuple[str, str]], due: list[datetime]) -> None:
    metrics.count_webhook_events(fates)
    metrics.observe_settle_times("deliveries", due, now())


def read_payment_webhook(delivery: WebhookDeliveryRow) -> WebhookFacts:
    """Return the facts that a stored webhook reports.

    Raises:
        Unusable: the webhook is not valid. The message repeats none of its values.
    """
    try:
        body = json.loads(bytes(delivery["body"]))
    except (ValueError, RecursionError):
        raise Unusable("The body must be valid JSON.") from None
    if body == [ERASED_ITEM]:
        return WebhookFacts()
    if delivery["provider"] == "stripe":
        return _read_stripe(body, may_be_test=bool(delivery.get("by_test_key")))
    key, fact = standard_webhooks.read_gift_post(body)
    return WebhookFacts({key: fact})


def _read_stripe(body: Any, *, may_be_test: bool) -> WebhookFacts:
    """Return the facts of a Stripe event. An event that cannot count still lists its payment."""
    if not stripe_events.is_live_event(body) and not may_be_test:
        if facts := unusable.read_unusable_fact(body, TEST_MODE_REASON):
            return WebhookFacts(facts, note=UNUSABLE_REASONS[TEST_MODE_REASON])
        raise Unusable(UNUSABLE_REASONS[TEST_MODE_REASON])
    try:
        return WebhookFacts(stripe_events.read_facts(body), stripe_events.find_invoice_link(body))
    except UnknownCurrency:
        if facts := unusable.read_unusable_fact(body, UNKNOWN_CURRENCY_REASON):
            return WebhookFacts(facts, note=UNUSABLE_REASONS[UNKNOWN_CURRENCY_REASON])
        raise


def _note(tx: Tx, id_: ObjectId, outcome: str, reason: str | None) -> None:
    counts = {name: int(name == outcome) for name in PAYMENT_WEBHOOK_OUTCOMES}
    refused = [{"index": 0, "reason": reason}] if reason else []
    update = {
        "$set": {**counts, "refused": refused, "tallied_at": now()},
        "$unset": {"due": "", "trouble": ""},
    }
    tx.database.deliveries.update_one({"_id": id_}, update, session=tx.session)
