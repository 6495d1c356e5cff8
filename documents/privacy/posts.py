"""Erasure of a person in stored webhook posts; see erasure.py for the whole erasure.

Data about the person is redacted completely. Data about other people loses only the person's
address.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from mongoengine import get_db

from documents.erased import bodies as erased_bodies
from documents.erased import customers as erased_customers
from documents.erased.decoded import list_json_texts
from documents.erased.items import ERASED_BODY, encode_items
from documents.erased.links import redact_events
from documents.erased.person import Person
from documents.erased.rules import REDACTED_TEXT, find_addresses, redact_url
from documents.errors import Unusable
from documents.giving_links.references import resolve_reference
from documents.payments import ingest as payments
from documents.payments.facts import PaymentFact
from documents.payments.payment import make_payment_id
from documents.providers.provider import Provider, parse_items
from documents.providers.registry import PAYMENT_PROVIDERS, PROVIDERS
from documents.providers.report import ERASED_ITEM, EventReport
from documents.rows.webhook_delivery import WebhookDeliveryRow

POSTS_PER_BATCH = 20
# Matches the key in a payment's ID; see make_payment_id.
PAYMENT_KEY_PATTERN = re.compile(r"[\w-]+")
SCANNED_POST_FIELDS = {"body": 1, "due": 1, "provider": 1, "organization_id": 1}


def erase_posts(person: Person, payment_ids: Collection[str]) -> bool:
    """Remove the person from all stored posts of the organization.

    Args:
        payment_ids: the IDs of the person's payments.

    Return False if a post about the person is still due, and must wait.
    """
    scan = _Scan(person, payment_ids)
    # With the providers, MongoDB merges the ranges of an index in the order of the IDs.
    everything = {"organization_id": person.organization_id, "provider": {"$in": list(PROVIDERS)}}
    finished = scan.run(everything)
    # A post about a customer may contain neither an address nor a payment.
    if scan.has_customers():
        stripes = {"organization_id": person.organization_id, "provider": "stripe"}
        finished = scan.run(stripes) and finished
    return finished


class _Scan:
    """One pass over stored posts."""

    def __init__(self, person: Person, payment_ids: Collection[str]) -> None:
        self._person = person
        self._traces = person.traces
        self._payments = frozenset(payment_ids)
        self._customers = erased_customers.list_erased_customers(
            person.organization_id, person.user_id
        )

    def has_customers(self) -> bool:
        return bool(self._customers)

    def run(self, query: dict[str, Any]) -> bool:
        deliveries, finished = get_db().deliveries, True
        for post in (
            deliveries.find(query, SCANNED_POST_FIELDS).sort("_id", 1).batch_size(POSTS_PER_BATCH)
        ):
            body = self._without(post)
            if body is None:
                continue
            erased_bodies.store_body_digest(
                self._person.organization_id, post["_id"], bytes(post["body"])
            )
            settled = {"_id": post["_id"], "due": None}
            if not deliveries.update_one(settled, {"$set": {"body": body}}).matched_count:
                finished = False
        return finished

    def _without(self, post: WebhookDeliveryRow) -> bytes | None:
        """Return the body without the person; None if the body does not mention them."""
        raw = bytes(post["body"])
        text = raw.decode("utf-8", "replace")
        if post["provider"] in PAYMENT_PROVIDERS:
            return self._without_payment(post, raw, text)
        if not self._traces.has_address_or_reference(text):
            return None
        try:
            items = parse_items(raw)
        except Unusable:
            return ERASED_BODY
        kept = [self._item(post, index, item) for index, item in enumerate(items)]
        return encode_items(kept) if kept != items else None

    def _item(self, post: WebhookDeliveryRow, index: int, item: Any) -> Any:
        text = "\n".join(list_json_texts(item))
        if not self._traces.has_address_or_reference(text):
            return item
        if self._is_theirs(PROVIDERS[post["provider"]], item):
            return ERASED_ITEM
        query = {"delivery_id": post["_id"], "item": index}
        redact_events(self._person.organization_id, self._traces, query)
        return redact_json(item, self._traces.has_address)

    def _is_theirs(self, provider: Provider, item: Any) -> bool:
        """Return whether an item is about the person, and not only about other recipients."""
        organization_id = self._person.organization_id
        try:
            reports = provider.read_events(organization_id.binary, item)
        except Unusable:
            return True
        return not reports or any(map(self._is_about_person, reports))

    def _is_about_person(self, report: EventReport) -> bool:
        reference = resolve_reference(self._person.organization_id, report.email_ref)
        if reference and reference[0] in self._person.email_ids:
            return True
        addresses = list(find_addresses(report.address))
        return not addresses or any(map(self._traces.belongs_to_person, addresses))

    def _without_payment(self, post: WebhookDeliveryRow, raw: bytes, text: str) -> bytes | None:
        if raw == ERASED_BODY:
            return None
        try:
            told = payments.read_payment_webhook(post)
            body = json.loads(raw)
        except Unusable:
            is_theirs = self._traces.has_address_or_reference(text) or self._names_payment(text)
            return ERASED_BODY if is_theirs else None
        ids = {
            make_payment_id(post["organization_id"], post["provider"], key) for key in told.facts
        }
        facts = [fact for of_one in told.facts.values() for fact in of_one.values()]
        if ids & self._payments or self._names_giver(facts):
            self._learn_customers(body)
            return ERASED_BODY
        if not ids and self._is_about_customer(body, text):
            self._learn_customers(body)
            return ERASED_BODY
        if not self._traces.has_address(text):
            return None
        left = redact_json(body, self._traces.has_address)
        return ERASED_BODY if left == ERASED_ITEM else json.dumps(left).encode()

    def _names_giver(self, facts: list[PaymentFact]) -> bool:
        addresses = [fact["email"] for fact in facts if fact.get("email")]
        return any(map(self._traces.belongs_to_person, addresses))

    def _is_about_customer(self, body: Any, text: str) -> bool:
        """Return whether an address or customer shows that the post is about the person."""
        if self._traces.has_address(text):
            return True
        if not self._customers & erased_customers.digest_customers(
            self._person.organization_id, body
        ):
            return False
        return not any(True for _ in find_addresses("\n".join(list_json_texts(body))))

    def _names_payment(self, text: str) -> bool:
        keys = {id_.split(":", 2)[2] for id_ in self._payments}
        return not keys.isdisjoint(PAYMENT_KEY_PATTERN.findall(text))

    def _learn_customers(self, body: Any) -> None:
        """Store the customers in a post before its redaction, to find posts with no other trace."""
        organization_id, user_id = self._person.organization_id, self._person.user_id
        new = erased_customers.digest_customers(organization_id, body) - self._customers
        erased_customers.store_erased_customers(organization_id, user_id, new)
        self._customers |= new


def redact_json(value: Any, tells: Callable[[str], bool]) -> Any:
    """Replace each text or part of a URL that identifies a person with "erased".

    Return `ERASED_ITEM` for a value with too many nested levels.

    Args:
        tells: returns whether a text identifies the person.
    """
    try:
        return _redacted(value, tells)
    except RecursionError:
        return ERASED_ITEM


def _redacted(value: Any, tells: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        return {_redacted(name, tells): _redacted(one, tells) for name, one in value.items()}
    if isinstance(value, list):
        return [_redacted(one, tells) for one in value]
    if not isinstance(value, str) or not tells(value):
        return value
    return redact_url(value, tells) if "://" in value else REDACTED_TEXT
