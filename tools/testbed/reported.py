"""Check of outgoing events against the records that they report.

It shares no code with the events' own rules, so that a mistake there is not repeated here. It
expects endpoints that chose all events and are older than every record.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from mongoengine import get_db

MATCHED_STATUSES = ("succeeded", "refunded", "disputed")
ReportedState = tuple[Any, Any, int, bool]  # email, match, refunded amount, deleted


def find_report_mistakes() -> list[str]:
    """Return each difference between the stored events and the settled donations and emails."""
    endpoints = [row["_id"] for row in get_db().webhook_endpoints.find({"deleted_at": None})]
    return [text for id_ in endpoints for text in _compare_endpoint(id_)]


def _compare_endpoint(endpoint_id: Any) -> Iterator[str]:
    events: defaultdict[Any, list[Any]] = defaultdict(list)
    rows = get_db().event_deliveries.find({"endpoint_id": endpoint_id}).sort("version", 1)
    for row in rows:
        events[row["record_id"]].append(row)
    for gift in get_db().donations.find():
        yield from _compare_gift(gift, events.pop(gift["_id"], []))
    for email in get_db().emails.find():
        yield from _compare_email(email, events.pop(email["_id"], []))
    for id_, others in events.items():
        if any(one["type"].startswith(("donation.", "email.")) for one in others):
            yield f"{id_} was reported and does not exist"


def describe_gift(gift: Mapping[str, Any]) -> ReportedState:
    """Return the state of a stored donation, as its last event must report it."""
    is_deleted = gift.get("deleted_at") is not None
    refunded = gift.get("refunded_amount", 0)
    if is_deleted or gift["status"] not in MATCHED_STATUSES:
        return None, None, refunded, is_deleted
    return gift.get("email_id"), gift.get("match"), refunded, is_deleted


def _compare_gift(gift: Mapping[str, Any], events: list[Any]) -> Iterator[str]:
    yield from _check_versions(gift["_id"], events)
    email_id, match, refunded, is_deleted = describe_gift(gift)
    if not events:
        if match or (refunded and not is_deleted):
            yield f"gift {gift['_id']} was never reported"
        return
    told = [_read_state(one) for one in events]
    if told[-1] != (email_id, match, refunded, is_deleted):
        yield f"gift {gift['_id']}: {told[-1]} was reported, {describe_gift(gift)} is stored"
    for before, after, types in zip(told, told[1:], _pairs(events), strict=False):
        if before == after and (types[0] != "donation.refunded" or types[0] == types[1]):
            yield f"gift {gift['_id']}: {types[1]} without a change"


def _read_state(event: Mapping[str, Any]) -> ReportedState:
    data = event["data"]
    return data.get("email_id"), data.get("match"), data["refunded_amount"], data["deleted"]


def _pairs(events: list[Any]) -> list[tuple[str, str]]:
    types = [one["type"] for one in events]
    return list(pairwise(types))


def _compare_email(email: Mapping[str, Any], events: list[Any]) -> Iterator[str]:
    yield from _check_versions(email["_id"], events)
    told = {one["type"] for one in events}
    if email.get("deleted_at") is not None:
        return
    if bool(email.get("bounced_at")) != ("email.bounced" in told):
        yield f"email {email['_id']}: {told} reported, bounced at {email.get('bounced_at')}"
    if bool(email.get("unsubscribed_at")) != ("email.unsubscribed" in told):
        yield f"email {email['_id']}: {told} reported, left at {email.get('unsubscribed_at')}"


def _check_versions(id_: Any, events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    versions = [one["version"] for one in events]
    if versions != list(range(1, len(versions) + 1)):
        yield f"{id_}: versions {versions}"
