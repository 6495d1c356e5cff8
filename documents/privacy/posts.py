"""Erasure of a person in stored webhook posts: a part of erasure.py.

Data about the person goes as a whole. In data about somebody else, only the person's address goes.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mongoengine import get_db

from documents.erased import bodies as erased_bodies
from documents.erased import customers as erased_customers
from documents.erased.decoded import texts_of
from documents.erased.items import WHOLE, encode
from documents.erased.links import redact_events
from documents.erased.person import Person
from documents.erased.rules import REDACTED, addresses_in, redact_url
from documents.errors import Unusable
from documents.giving_links.references import resolve
from documents.payments import ingest as payments
from documents.payments.facts import Fact
from documents.payments.payment import payment_id
from documents.providers import sendgrid
from documents.providers.registry import OF_PAYMENTS
from documents.providers.sendgrid import ERASED
from documents.rows.webhook_delivery import WebhookDeliveryRow

POSTS_A_BATCH = 20
WORD = re.compile(r"[\w-]+")  # a payment's key in its ID is one; see payment_id
FIELDS = {"body": 1, "due": 1, "provider": 1, "organization_id": 1}


def erase_posts(person: Person, payment_ids: Collection[str]) -> bool:
    """Take the person out of all stored posts of the organization.

    Args:
        payment_ids: the person's payments.

    Returns whether no post that tells of them waits to be read.
    """
    scan = _Scan(person, payment_ids)
    finished = scan.run({"organization_id": person.organization_id})
    # Posts about a customer may have neither an address nor a payment.
    if scan.has_customers():
        stripes = {"organization_id": person.organization_id, "provider": "stripe"}
        finished = scan.run(stripes) and finished
    return finished


class _Scan:
    """One pass over posts."""

    def __init__(self, person: Person, payment_ids: Collection[str]) -> None:
        self._person = person
        self._traces = person.traces
        self._payments = frozenset(payment_ids)
        self._customers = erased_customers.of_user(person.organization_id, person.user_id)

    def has_customers(self) -> bool:
        return bool(self._customers)

    def run(self, query: dict[str, Any]) -> bool:
        deliveries, finished = get_db().deliveries, True
        for post in deliveries.find(query, FIELDS).sort("_id", 1).batch_size(POSTS_A_BATCH):
            body = self._without(post)
            if body is None:
                continue
            erased_bodies.remember(self._person.organization_id, post["_id"], bytes(post["body"]))
            settled = {"_id": post["_id"], "due": None}
            if not deliveries.update_one(settled, {"$set": {"body": body}}).matched_count:
                finished = False
        return finished

    def _without(self, post: WebhookDeliveryRow) -> bytes | None:
        """Return the body without the person; None if it does not tell of them."""
        raw = bytes(post["body"])
        text = raw.decode("utf-8", "replace")
        if post["provider"] in OF_PAYMENTS:
            return self._without_payment(post, raw, text)
        if not self._traces.has_address_or_reference(text):
            return None
        try:
            items = sendgrid.parse(raw)
        except Unusable:
            return WHOLE
        kept = [self._item(post, index, item) for index, item in enumerate(items)]
        return encode(kept) if kept != items else None

    def _item(self, post: WebhookDeliveryRow, index: int, item: Any) -> Any:
        text = "\n".join(texts_of(item))
        if not self._traces.has_address_or_reference(text):
            return item
        if self._is_theirs(item):
            return ERASED
        query = {"delivery_id": post["_id"], "item": index}
        redact_events(self._person.organization_id, self._traces, query)
        return redacted(item, self._traces.has_address)

    def _is_theirs(self, item: Any) -> bool:
        """Whether an event is of the person, and not of somebody who met their address."""
        if not isinstance(item, Mapping):
            return True
        reference = resolve(self._person.organization_id, str(item.get("email_id") or ""))
        if reference and reference[0] in self._person.email_ids:
            return True
        addresses = list(addresses_in(str(item.get("email") or "")))
        if not addresses:
            return True
        return any(map(self._traces.is_theirs, addresses))

    def _without_payment(self, post: WebhookDeliveryRow, raw: bytes, text: str) -> bytes | None:
        if raw == WHOLE:
            return None
        try:
            told = payments.read(post)
            body = json.loads(raw)
        except Unusable:
            is_theirs = self._traces.has_address_or_reference(text) or self._names_payment(text)
            return WHOLE if is_theirs else None
        ids = {payment_id(post["organization_id"], post["provider"], key) for key in told.facts}
        facts = [fact for of_one in told.facts.values() for fact in of_one.values()]
        if ids & self._payments or self._names_giver(facts):
            self._learn_customers(body)
            return WHOLE
        if not ids and self._is_about_customer(body, text):
            self._learn_customers(body)
            return WHOLE
        if not self._traces.has_address(text):
            return None
        left = redacted(body, self._traces.has_address)
        return WHOLE if left == ERASED else json.dumps(left).encode()

    def _names_giver(self, facts: list[Fact]) -> bool:
        addresses = [fact["email"] for fact in facts if fact.get("email")]
        return any(map(self._traces.is_theirs, addresses))

    def _is_about_customer(self, body: Any, text: str) -> bool:
        """Whether a post without a payment is about the person: by an address or their customer."""
        if self._traces.has_address(text):
            return True
        if not self._customers & erased_customers.digests(self._person.organization_id, body):
            return False
        return not any(True for _ in addresses_in("\n".join(texts_of(body))))

    def _names_payment(self, text: str) -> bool:
        keys = {id_.split(":", 2)[2] for id_ in self._payments}
        return not keys.isdisjoint(WORD.findall(text))

    def _learn_customers(self, body: Any) -> None:
        """Keep whose customer it is before the post goes, for posts that name nothing else."""
        organization_id, user_id = self._person.organization_id, self._person.user_id
        new = erased_customers.digests(organization_id, body) - self._customers
        erased_customers.keep(organization_id, user_id, new)
        self._customers |= new


def redacted(value: Any, tells: Callable[[str], bool]) -> Any:
    """Return a JSON value with "erased" for each text, or part of a URL, that tells.

    A value that is nested too deeply to be read becomes `ERASED`.
    """
    try:
        return _redacted(value, tells)
    except RecursionError:
        return ERASED


def _redacted(value: Any, tells: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        return {_redacted(name, tells): _redacted(one, tells) for name, one in value.items()}
    if isinstance(value, list):
        return [_redacted(one, tells) for one in value]
    if not isinstance(value, str) or not tells(value):
        return value
    return redact_url(value, tells) if "://" in value else REDACTED
