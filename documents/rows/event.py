"""The stored form of events, and of the links and archives that they count towards."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId


class EventRow(TypedDict):
    """A row of `events`; see `Event`."""

    _id: bytes
    organization_id: ObjectId
    delivery_id: ObjectId
    item: int
    type: str
    at: datetime
    report_key: NotRequired[ObjectId]
    url: NotRequired[str]
    link_position: NotRequired[str]
    user_agent: NotRequired[str]
    bounce_type: NotRequired[str]
    group: NotRequired[str]
    machine: NotRequired[bool]
    machine_reason: NotRequired[str]
    email_id: NotRequired[ObjectId]
    tied_by: NotRequired[str]
    clicker_id: NotRequired[ObjectId]
    address: NotRequired[str]
    message_id: NotRequired[str]
    category: NotRequired[list[str]]
    names_email: NotRequired[bool]
    unmatched: NotRequired[str]
    mailing_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    due: NotRequired[datetime]
    # former names; see tracking/former_rows.py
    sg_event_id: NotRequired[str]
    sg_message_id: NotRequired[str]


class LinkRow(TypedDict):
    """A row of `links`; see `Link`."""

    _id: ObjectId
    organization_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]
    url: NotRequired[str]
    clicks: NotRequired[int]
    emails: NotRequired[int]
    machine_clicks: NotRequired[int]


class ClickerRow(TypedDict):
    """A row of `clickers`; see `LinkClicks`."""

    _id: ObjectId
    organization_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]
    email_id: NotRequired[ObjectId]
    link_id: NotRequired[ObjectId]
    clicks: NotRequired[int]
    machine_clicks: NotRequired[int]
    counted: NotRequired[list[Any]]
    due: NotRequired[datetime]
    deleted_at: NotRequired[datetime]


class ArchiveRow(TypedDict):
    """A row of `archives`; see `Archive`."""

    _id: ObjectId
    organization_id: NotRequired[ObjectId]
    email_id: NotRequired[ObjectId]
    clicker_id: NotRequired[ObjectId]
    opens: NotRequired[int]
    machine_opens: NotRequired[int]
    clicks: NotRequired[int]
    machine_clicks: NotRequired[int]
    unknown_events: NotRequired[int]
    first_clicked_at: NotRequired[datetime]
    last_clicked_at: NotRequired[datetime]
