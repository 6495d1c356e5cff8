"""Types of outgoing events."""

from typing import Literal, get_args

OutgoingEventType = Literal[
    "donation.matched",
    "donation.rematched",
    "donation.unmatched",
    "donation.refunded",
    "email.bounced",
    "email.unsubscribed",
    "import.finished",
    "recount.drift_found",
    "endpoint.test",
]
# An endpoint can choose among these. It receives its own tests in any case.
TEST_EVENT_TYPE: OutgoingEventType = "endpoint.test"
OUTGOING_EVENT_TYPES: tuple[OutgoingEventType, ...] = tuple(
    one for one in get_args(OutgoingEventType) if one != TEST_EVENT_TYPE
)
