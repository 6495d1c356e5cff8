"""Check of the receiver: it knows the last state of every record that events report."""

import time
from collections.abc import Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.outgoing.event_delivery import FAILED_FILTER, PENDING_FILTER
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.signing_secret import make_secret
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.storage.sealed import seal_secret
from documents.values.time import now
from tools.chaos.clients import ChaosClient
from tools.chaos.receiver import ChaosReceiver
from tools.testbed.reported import describe_gift, find_report_mistakes

DELIVERY_TIMEOUT_SECONDS = 90  # a killed sender's lease blocks others for 20 s


def subscribe_receiver(organization_id: str, receiver: ChaosReceiver) -> None:
    """Create the endpoint before any other record.

    This process does not have the setting that allows its address.
    """
    secret = make_secret()
    WebhookEndpoint(
        organization_id=ObjectId(organization_id),
        url=receiver.url,
        events=OUTGOING_EVENT_TYPES,
        secret=seal_secret(secret),
    ).insert()
    receiver.trust(secret)


def await_deliveries(receiver: ChaosReceiver) -> list[str]:
    """Wait until no delivery is pending, without the long pauses after failures."""
    receiver.is_calm = True
    deliveries = get_db().event_deliveries
    deliveries.update_many(PENDING_FILTER, {"$set": {"next_attempt_at": now()}})
    deadline = time.monotonic() + DELIVERY_TIMEOUT_SECONDS
    while (pending := deliveries.count_documents(PENDING_FILTER)) and time.monotonic() < deadline:
        time.sleep(0.1)
    failed = deliveries.count_documents(FAILED_FILTER)
    return [f"{pending} events pending, {failed} failed"] if pending or failed else []


def compare_reports(receiver: ChaosReceiver, clients: list[ChaosClient]) -> list[str]:
    """Return every difference between the receiver's knowledge and the records."""
    found = [*find_report_mistakes(), *receiver.findings]
    gifts = {str(row["_id"]): row for row in get_db().donations.find()}
    emails = {str(row["_id"]): row for row in get_db().emails.find()}
    found += _compare_gifts(receiver, gifts)
    found += _compare_emails(receiver, emails)
    found += _compare_clients(receiver, clients)
    known = receiver.known.keys() - gifts.keys() - emails.keys()
    return found + [f"the receiver knows {id_}, which does not exist" for id_ in known]


def _compare_gifts(receiver: ChaosReceiver, gifts: dict[str, Any]) -> Iterator[str]:
    for id_, gift in gifts.items():
        email_id, match, refunded, is_deleted = describe_gift(gift)
        told = receiver.known.get(id_)
        if told is None:
            if match:
                yield f"the receiver does not know gift {id_}"
            continue
        knows = told["email_id"], told.get("match"), told["refunded_amount"], told["deleted"]
        if knows != (str(email_id) if email_id else None, match, refunded, is_deleted):
            yield f"gift {id_}: the receiver knows {knows}, {describe_gift(gift)} is stored"


def _compare_emails(receiver: ChaosReceiver, emails: dict[str, Any]) -> Iterator[str]:
    for id_, email in emails.items():
        for field, type_ in (
            ("bounced_at", "email.bounced"),
            ("unsubscribed_at", "email.unsubscribed"),
        ):
            told = type_ in receiver.types.get(id_, ())
            if email.get("deleted_at") is None and told != bool(email.get(field)):
                yield f"email {id_}: {type_} reported: {told}, stored {email.get(field)}"


def _compare_clients(receiver: ChaosReceiver, clients: list[ChaosClient]) -> Iterator[str]:
    for gift in (gift for client in clients for gift in client.gifts):
        told = receiver.known.get(gift.id)
        if told is None:
            if gift.status in ("succeeded", "refunded", "disputed") and not gift.deleted:
                yield f"the receiver never heard of gift {gift.id}"
        elif (told["refunded_amount"], told["deleted"]) != (gift.refunded, gift.deleted):
            yield f"gift {gift.id}: its client knows {gift}, the receiver {told}"
    for client in clients:
        for id_, events in client.events.items():
            types = {type_ for type_, _ in events}
            if id_ in client.deleted_emails:
                continue
            for sent, type_ in (("bounce", "email.bounced"), ("unsubscribe", "email.unsubscribed")):
                if (sent in types) != (type_ in receiver.types.get(id_, ())):
                    yield f"email {id_}: {sent} was sent: {sent in types}"
