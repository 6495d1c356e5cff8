"""Amazon SES's events, in the form of its documentation.

Alice raises funds at one university, and Bob is a donor. Carol is another recipient.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.giving_links.link_token import LINK_TOKEN_LENGTH
from documents.providers.provider import EXAMPLE_EMAIL_ID, parse_items
from documents.providers.report import BLOCKED, EVENT_TYPES, EventReport
from documents.providers.ses import PROVIDER
from tools.testbed.amazon import make_message

ORGANIZATION = ObjectId("6a1b2c3d4e5f6a7b8c9d0e1f").binary
BOB, CAROL = "bob@example.edu", "carol@example.edu"
EMAIL_ID = "66b1f0c2a4d3e5f6a7b8c9d0"
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
SENT_AT, AT = "2026-11-20T10:00:00.000Z", "2026-11-20T10:00:07.123Z"
TIME = datetime(2026, 11, 20, 10, 0, 7, 123000, tzinfo=UTC)


def make_mail(*recipients: str, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": SENT_AT,
        "source": "Alice Adams <alice@example.edu>",
        "sourceArn": "arn:aws:ses:us-east-1:123456789012:identity/example.edu",
        "sendingAccountId": "123456789012",
        "messageId": "0100019a0c44f053-61b59c11-000000",
        "destination": list(recipients or [BOB]),
        "headersTruncated": False,
        "headers": [
            {"name": "From", "value": "Alice Adams <alice@example.edu>"},
            {"name": "Subject", "value": "It is Spring Giving Day"},
        ],
        "commonHeaders": {"from": ["alice@example.edu"], "to": list(recipients or [BOB])},
        "tags": {
            "ses:configuration-set": ["giving"],
            "ses:source-ip": ["192.0.2.1"],
            "email_id": [EMAIL_ID],
            "mailing": ["spring"],
        },
        **fields,
    }


def make_event(
    type_: str, name: str, detail: object, mail: object = None, field: str = "eventType"
) -> dict[str, Any]:
    return {field: type_, "mail": make_mail() if mail is None else mail, name: detail}


def make_bounce(type_: str, subtype: str, *recipients: object, **fields: Any) -> dict[str, Any]:
    failed = {"action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 unknown"}
    detail = {
        "bounceType": type_,
        "bounceSubType": subtype,
        "bouncedRecipients": list(recipients) or [{"emailAddress": BOB, **failed}],
        "timestamp": AT,
        "feedbackId": "0100019a0c44ffff-11111111-000000",
        "reportingMTA": "dsn; mta.example.com",
        **fields,
    }
    return make_event("Bounce", "bounce", detail)


def read(item: object) -> list[EventReport]:
    return list(PROVIDER.read_events(ORGANIZATION, item))


def read_one(item: object) -> EventReport:
    (report,) = read(item)
    return report


def complain(*recipients: str, **fields: Any) -> dict[str, Any]:
    people = [{"emailAddress": address} for address in recipients or [BOB]]
    detail = {
        "complainedRecipients": people,
        "timestamp": AT,
        "feedbackId": "0100019a0c44eeee-22222222-000000",
        "userAgent": "ExampleCorp Feedback Loop (V0.01)",
        "complaintFeedbackType": "abuse",
        "arrivalDate": AT,
        **fields,
    }
    return make_event("Complaint", "complaint", detail)


OPEN = {"ipAddress": "192.0.2.7", "timestamp": AT, "userAgent": AGENT}
CLICK = OPEN | {"link": "https://give.example.edu/spring", "linkTags": {"place": ["header"]}}
DELAY = {
    "timestamp": AT,
    "delayType": "TransientCommunicationFailure",
    "expirationTime": "2026-11-21T10:00:00.000Z",
    "delayedRecipients": [{"emailAddress": BOB, "status": "4.4.1", "diagnosticCode": "smtp; 421"}],
}
DELIVERY = {
    "timestamp": AT,
    "processingTimeMillis": 7123,
    "recipients": [BOB],
    "smtpResponse": "250 2.6.0 Message received",
    "reportingMTA": "mta.example.com",
}
FAILURE = {"errorMessage": "Attribute 'name' is not present.", "templateName": "Spring"}


@pytest.mark.parametrize(
    ("item", "type_", "has_own_time"),
    [
        (make_event("Send", "send", {}), "processed", False),
        (make_event("Delivery", "delivery", DELIVERY), "delivered", True),
        (make_event("DeliveryDelay", "deliveryDelay", DELAY), "deferred", True),
        (make_bounce("Permanent", "General"), "bounce", True),
        (complain(), "spamreport", True),
        (make_event("Reject", "reject", {"reason": "Bad content"}), "dropped", False),
        (make_event("Rendering Failure", "failure", FAILURE), "dropped", False),
        (make_event("Open", "open", OPEN), "open", True),
        (make_event("Click", "click", CLICK), "click", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_documented_type_is_read(item: dict[str, Any], type_: str, has_own_time: bool) -> None:
    report = read_one(item)
    assert (report.type, report.address, report.email_ref) == (type_, BOB, EMAIL_ID)
    assert report.at == (TIME if has_own_time else datetime(2026, 11, 20, 10, tzinfo=UTC))
    assert report.message_id == "0100019a0c44f053-61b59c11-000000"
    assert report.category == ("spring",)
    assert report.type in EVENT_TYPES
    assert not report.machine


def test_an_event_arrives_in_a_notification() -> None:
    """From the body of SNS to the report, and redelivered under another ID of SNS."""
    first, again = (
        make_message(Message=json.dumps(make_event("Click", "click", CLICK)), MessageId=name)
        for name in ("1", "2")
    )
    stored = [
        read(parse_items(PROVIDER.unwrap(json.dumps(body).encode()))[0]) for body in (first, again)
    ]
    assert stored[0] == stored[1]
    (report,) = stored[0]
    assert (report.url, report.ip, report.user_agent) == (CLICK["link"], "192.0.2.7", AGENT)


@pytest.mark.parametrize(
    "field", ["eventType", "notificationType"], ids=["event", "feedback notification"]
)
def test_both_forms_are_read(field: str) -> None:
    bare = {"timestamp": "2026-11-20T10:00:00 +0000", "messageId": "m", "destination": [BOB]}
    assert read_one(make_event("Delivery", "delivery", DELIVERY, bare, field)).type == "delivered"
    report = read_one(make_event("Send", "send", {}, bare, field))
    assert report.at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert report.email_ref is None


def test_the_examples_are_an_event_and_a_key() -> None:
    PROVIDER.scheme.check(PROVIDER.scheme.example)
    report = read_one(PROVIDER.example)
    assert (report.type, report.email_ref, report.address) == ("click", EXAMPLE_EMAIL_ID, BOB)


# Bounces


@pytest.mark.parametrize(
    ("type_", "subtype", "expected"),
    [
        ("Permanent", "General", ("bounce", "Permanent/General")),
        ("Permanent", "NoEmail", ("bounce", "Permanent/NoEmail")),
        ("Permanent", "Undetermined", ("bounce", "Permanent/Undetermined")),
        ("Permanent", "Suppressed", ("dropped", "Permanent/Suppressed")),
        (
            "Permanent",
            "OnAccountSuppressionList",
            ("dropped", "Permanent/OnAccountSuppressionList"),
        ),
        ("Permanent", "OnTenantSuppressionList", ("dropped", "Permanent/OnTenantSuppressionList")),
        ("Permanent", "UnsubscribedRecipient", ("dropped", "Permanent/UnsubscribedRecipient")),
        ("Transient", "General", ("bounce", BLOCKED)),
        ("Transient", "MailboxFull", ("bounce", BLOCKED)),
        ("Transient", "MessageTooLarge", ("bounce", BLOCKED)),
        ("Transient", "ContentRejected", ("bounce", BLOCKED)),
        ("Transient", "AttachmentRejected", ("bounce", BLOCKED)),
        ("Transient", "CustomTimeoutExceeded", ("bounce", BLOCKED)),
        ("Undetermined", "Undetermined", ("bounce", BLOCKED)),
        ("New", "New", ("bounce", BLOCKED)),
    ],
)
def test_bounces_and_blocks_differ(type_: str, subtype: str, expected: tuple[str, str]) -> None:
    report = read_one(make_bounce(type_, subtype))
    assert (report.type, report.bounce_type) == expected


@pytest.mark.parametrize(
    "subtype",
    ["Suppressed", "OnAccountSuppressionList", "OnTenantSuppressionList", "UnsubscribedRecipient"],
)
def test_a_message_to_a_suppressed_address_is_dropped(subtype: str) -> None:
    report = read_one(make_bounce("Permanent", subtype))
    assert (report.type, report.bounce_type) == ("dropped", f"Permanent/{subtype}")


def test_an_automatic_reply_is_no_bounce() -> None:
    """Bob is out of office. SES reports his reply as a bounce without a delivery status."""
    bob = {"emailAddress": BOB}
    report = read_one(make_bounce("Transient", "General", bob, reportingMTA=None))
    assert (report.type, report.bounce_type) == ("ses:AutomaticReply", None)
    assert read_one(make_bounce("Transient", "General", bob)).type == "bounce"
    assert (
        read_one(make_bounce("Transient", "MailboxFull", bob, reportingMTA=None)).type == "bounce"
    )


def test_a_bounce_names_each_recipient() -> None:
    people = [
        {"status": "5.0.0", "action": "failed", "emailAddress": BOB},
        {"status": "4.0.0", "action": "delayed", "emailAddress": CAROL},
    ]
    bob, carol = read(make_bounce("Permanent", "General", *people))
    assert (bob.address, bob.type) == (BOB, "bounce")
    assert (carol.address, carol.type) == (CAROL, "deferred")
    assert bob.provider_event_id != carol.provider_event_id
    for report in (bob, carol):
        assert report.provider_event_id
        assert report.provider_event_id.startswith("ses:0100019a0c44ffff-11111111-000000:")
        assert "@" not in report.provider_event_id


def test_a_bounce_without_recipients_names_the_only_one() -> None:
    assert read_one(make_bounce("Permanent", "General", bouncedRecipients=[])).address == BOB


# Complaints


@pytest.mark.parametrize(
    ("fields", "type_"),
    [
        ({}, "spamreport"),
        ({"complaintFeedbackType": None}, "spamreport"),
        ({"complaintFeedbackType": "fraud"}, "spamreport"),
        ({"complaintFeedbackType": "not-spam"}, "ses:not-spam"),
        ({"complaintFeedbackType": "auth-failure"}, "ses:auth-failure"),
        ({"complaintSubType": "OnAccountSuppressionList"}, "dropped"),
        ({"complaintSubType": None}, "spamreport"),
    ],
)
def test_complaints_differ(fields: dict[str, Any], type_: str) -> None:
    report = read_one(complain(**fields))
    assert (report.type, report.user_agent) == (type_, None)


def test_a_complaint_names_each_recipient() -> None:
    assert [report.address for report in read(complain(BOB, CAROL, BOB))] == [BOB, CAROL]


# Recipients


@pytest.mark.parametrize(("type_", "detail"), [("Open", OPEN), ("Click", CLICK)])
def test_an_open_of_several_recipients_names_none(type_: str, detail: dict[str, Any]) -> None:
    item = make_event(type_, type_.lower(), detail, make_mail(BOB, CAROL))
    report = read_one(item)
    assert (report.address, report.email_ref) == ("", EMAIL_ID)
    assert read_one(make_event(type_, type_.lower(), detail, make_mail(BOB, BOB))).address == BOB


@pytest.mark.parametrize(
    ("type_", "name"), [("Send", "send"), ("Reject", "reject"), ("Rendering Failure", "failure")]
)
def test_an_event_of_the_message_is_one_of_each_recipient(type_: str, name: str) -> None:
    reports = read(make_event(type_, name, {}, make_mail(BOB, CAROL)))
    assert [report.address for report in reports] == [BOB, CAROL]
    assert len({report.identity for report in reports}) == 2


def test_a_delivery_names_its_own_recipients() -> None:
    item = make_event("Delivery", "delivery", DELIVERY, make_mail(BOB, CAROL))
    assert [report.address for report in read(item)] == [BOB]


@pytest.mark.parametrize("address", [BOB, f"Bob Baker <{BOB}>", f" <{BOB}> "])
def test_an_address_has_no_name(address: str) -> None:
    assert read_one(make_event("Open", "open", OPEN, make_mail(address))).address == BOB


# Machines


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0", True),  # Apple's Mail Privacy Protection
        (AGENT, False),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com)", False),
        (None, False),
    ],
)
def test_apples_proxy_is_a_machine(agent: str | None, machine: bool) -> None:
    assert read_one(make_event("Open", "open", OPEN | {"userAgent": agent})).machine is machine
    assert not read_one(make_event("Click", "click", CLICK | {"userAgent": agent})).machine


# Custom values


@pytest.mark.parametrize("value", [EMAIL_ID, "aZ09_-" * 6 + "xy"])
def test_ids_and_link_tokens_fit_in_a_tag(value: str) -> None:
    """A tag's value has at most 256 ASCII letters, digits, `_` and `-`."""
    assert len(value) in (24, LINK_TOKEN_LENGTH)
    assert value.replace("_", "").replace("-", "").isalnum()
    item = make_event("Open", "open", OPEN, make_mail(tags={"email_id": [value]}))
    assert read_one(item).email_ref == value


@pytest.mark.parametrize(
    "headers",
    [
        [{"name": "X-SES-MESSAGE-TAGS", "value": f"email_id={EMAIL_ID}, mailing=spring, x=y"}],
        [{"name": "x-ses-message-tags", "value": f" mailing = spring,email_id={EMAIL_ID}"}],
        [
            {"name": "X-Matchback-Email-Id", "value": EMAIL_ID},
            {"name": "x-matchback-mailing", "value": "spring"},
            {"name": "X-Matchback-Mailing", "value": "a later header"},
        ],
    ],
)
def test_headers_carry_custom_values(headers: list[dict[str, str]]) -> None:
    mail = make_mail(headers=headers, tags={"ses:configuration-set": ["giving"]})
    report = read_one(make_event("Open", "open", OPEN, mail))
    assert (report.email_ref, report.category) == (EMAIL_ID, ("spring",))


def test_tags_go_before_headers() -> None:
    headers = [{"name": "X-Matchback-Email-Id", "value": "another"}]
    report = read_one(make_event("Open", "open", OPEN, make_mail(headers=headers)))
    assert report.email_ref == EMAIL_ID


@pytest.mark.parametrize("ids", [[], ["a", "b"], [""], None, "", 7, {"a": 1}, [[EMAIL_ID]]])
def test_no_id_is_guessed(ids: object) -> None:
    item = make_event("Open", "open", OPEN, make_mail(tags={"email_id": ids}))
    assert read_one(item).email_ref is None


# Subscriptions of a contact list


def subscribe(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    detail = {
        "contactList": "Alumni",
        "timestamp": AT,
        "source": "UnsubscribeHeader",
        "newTopicPreferences": new,
        "oldTopicPreferences": old,
    }
    return make_event("Subscription", "subscription", detail)


def prefer(unsubscribe_all: bool, **topics: str) -> dict[str, Any]:
    listed = [{"topicName": name, "subscriptionStatus": status} for name, status in topics.items()]
    return {"unsubscribeAll": unsubscribe_all, "topicSubscriptionStatus": listed}


@pytest.mark.parametrize(
    ("new", "old", "type_"),
    [
        (prefer(True), prefer(False), "unsubscribe"),
        (prefer(True, a="OptOut"), prefer(False, a="OptIn"), "unsubscribe"),
        (prefer(True), prefer(False, a="OptOut"), "unsubscribe"),
        (prefer(False, a="OptOut"), prefer(False, a="OptIn"), "unsubscribe"),
        (prefer(False, a="OptIn"), prefer(False, a="OptOut"), "resubscribe"),
        (prefer(False), prefer(True), "resubscribe"),
        (prefer(False, a="OptOut"), prefer(True), "resubscribe"),
        (prefer(False, a="OptIn"), prefer(False, a="OptIn"), "ses:Subscription"),
        (prefer(True, a="OptOut"), prefer(True), "ses:Subscription"),
        ({}, {}, "ses:Subscription"),
    ],
)
def test_subscriptions_differ(new: dict[str, Any], old: dict[str, Any], type_: str) -> None:
    report = read_one(subscribe(new, old))
    assert (report.type, report.address, report.at) == (type_, BOB, TIME)


# Other types


@pytest.mark.parametrize("type_", ["AmazonSnsSubscriptionSucceeded", "Received"])
def test_other_subjects_give_no_events(type_: str) -> None:
    assert read({"notificationType": type_, "message": "You have successfully subscribed"}) == []


def test_an_unknown_type_is_kept() -> None:
    report = read_one(make_event("Teleport", "teleport", {"timestamp": AT}))
    assert (report.type, report.address, report.email_ref) == ("ses:Teleport", BOB, EMAIL_ID)


@pytest.mark.parametrize(
    "item",
    [
        None,
        1,
        [],
        "text",
        {},
        {"eventType": ""},
        {"eventType": 7, "mail": make_mail()},
        {"eventType": "Open"},
        make_event("Open", "open", {"timestamp": "yesterday"}),
        make_event("Open", "open", {"timestamp": "0001-01-01T00:00:00+23:59"}),
        make_event("Send", "send", {}, {"timestamp": 10**400}),
        make_message(),
    ],
)
def test_an_invalid_item_is_unusable_without_personal_data(item: object) -> None:
    with pytest.raises(Unusable) as error:
        read(item)
    assert "bob" not in str(error.value).lower()


# Redelivery and hostile values


def test_redelivery_has_the_same_identity() -> None:
    item = make_event("Open", "open", OPEN)
    assert read_one(item) == read_one(json.loads(json.dumps(item)))
    later = make_event("Open", "open", OPEN | {"timestamp": SENT_AT})
    assert read_one(item).identity != read_one(later).identity
    other = PROVIDER.read_events(b"x" * 12, item)[0]
    assert other.identity != read_one(item).identity


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(
    type_=st.sampled_from(
        "Send Delivery DeliveryDelay Bounce Complaint Open Subscription X".split()
    ),
    name=st.sampled_from("bounce delivery deliveryDelay complaint open subscription".split()),
    field=st.sampled_from(
        "timestamp feedbackId bouncedRecipients recipients delayedRecipients bounceType userAgent "
        "complainedRecipients newTopicPreferences link complaintSubType".split()
    ),
    mail=st.sampled_from("destination tags headers messageId timestamp".split()),
    value=JSON,
)
def test_no_value_raises_another_error(
    type_: str, name: str, field: str, mail: str, value: Any
) -> None:
    detail = {"timestamp": AT, field: value}
    items = [
        make_event(type_, name, detail, make_mail(**{mail: value})),
        make_event(type_, name, value, value),
        value,
    ]
    for item in items:
        try:
            reports = read(item)
        except Unusable:
            continue
        for report in reports:
            report.address.encode()
            report.type.encode()


def test_lone_surrogates_are_replaced() -> None:
    mail = make_mail("b\ud800b@example.edu", tags={"email_id": ["\ud800"], "mailing": ["\udfff"]})
    report = read_one(make_event("Click", "click", CLICK | {"link": "\ud800"}, mail))
    for text in (report.address, report.email_ref, report.url, *report.category):
        assert text
        text.encode()


def test_many_recipients_cost_linear_time() -> None:
    people = [
        {"emailAddress": f"{number}@example.edu", "action": "failed"} for number in range(9000)
    ]
    headers = [{"name": "X-SES-MESSAGE-TAGS", "value": "a=b," * 250}] * 2000
    item = make_bounce("Permanent", "General", *people)
    item["mail"] |= {"headers": headers, "tags": {}, "destination": ["<" * 1000 + ">"] * 9000}
    begin = time.process_time()
    assert len(read(item)) == 9000
    assert time.process_time() - begin < 3
