"""Bodies of outgoing events: what a delivery stores, and names and addresses as they are now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId
from mongoengine import get_db

from documents.values.gift import hide_import_id

EVENT_ID_PREFIX = "evt_"
PERSONAL_GIFT_FIELDS = ("donor_name", "donor_email", "external_id", "recurring_id")


def format_event_id(event_id: ObjectId) -> str:
    """Return the ID of an event as receivers see it."""
    return f"{EVENT_ID_PREFIX}{event_id}"


def build_bodies(deliveries: Sequence[Any]) -> list[bytes]:
    """Return the JSON body of each delivery, in the same order.

    A record that no longer exists has no name and no address.

    Args:
        deliveries: stored rows, or `EventDelivery` documents.
    """
    gift_ids = {one["record_id"] for one in deliveries if one["type"].startswith("donation.")}
    user_ids = {one["data"]["user_id"] for one in deliveries if one["type"].startswith("email.")}
    gifts = _read("donations", gift_ids, PERSONAL_GIFT_FIELDS)
    users = _read("users", user_ids, ("email",))
    return [_build_body(one, gifts, users) for one in deliveries]


def _read(
    collection: str, ids: set[ObjectId], fields: Iterable[str]
) -> dict[ObjectId, Mapping[str, Any]]:
    if not ids:
        return {}
    rows = get_db()[collection].find({"_id": {"$in": list(ids)}}, dict.fromkeys(fields, 1))
    return {row["_id"]: row for row in rows}


def _build_body(
    delivery: Any,
    gifts: Mapping[ObjectId, Mapping[str, Any]],
    users: Mapping[ObjectId, Mapping[str, Any]],
) -> bytes:
    data = dict(delivery["data"])
    if delivery["type"].startswith("donation."):
        data |= _describe_gift(delivery, gifts.get(delivery["record_id"], {}))
    elif delivery["type"].startswith("email."):
        address = users.get(data["user_id"], {}).get("email", "")
        data |= {"id": delivery["record_id"], "address": address}
    elif delivery["type"] == "import.finished":
        data |= {"id": delivery["record_id"]}
    event = {
        "id": format_event_id(delivery["event_id"]),
        "type": delivery["type"],
        "timestamp": delivery["at"],
        "version": delivery["version"],
        "data": data,
    }
    return orjson.dumps(event, default=_to_json, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)


def _describe_gift(delivery: Any, gift: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the delivery's data lacks."""
    name, address = gift.get("donor_name", ""), gift.get("donor_email", "")
    return {
        "id": delivery["record_id"],
        "match": delivery["data"].get("match"),
        "email_id": delivery["data"].get("email_id"),
        "donor": {"name": name, "email": address},
        "external_id": hide_import_id(gift.get("external_id")),
        "recurring_id": gift.get("recurring_id"),
    }


def _to_json(value: Any) -> Any:
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value).__name__)
