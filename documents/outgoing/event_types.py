"""Types of outgoing events."""

from typing import Literal, get_args

# An endpoint can choose among these. It receives its own tests in any case.
ChosenEventType = Literal[
    "donation.matched",
    "donation.rematched",
    "donation.unmatched",
    "donation.refunded",
    "email.bounced",
    "email.unsubscribed",
    "import.finished",
    "recount.drift_found",
]
OutgoingEventType = ChosenEventType | Literal["endpoint.test"]
TEST_EVENT_TYPE: OutgoingEventType = "endpoint.test"
OUTGOING_EVENT_TYPES: tuple[ChosenEventType, ...] = get_args(ChosenEventType)
