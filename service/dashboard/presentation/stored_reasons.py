"""Labels for the English reasons that decisions store (documents/matching/rules.py). Pure."""

import re

from service.dashboard.presentation.language import marked

LABELS = {
    "Staff decided that no email led to this gift.": marked(
        "Staff decided that no email led to this gift."
    ),
    "Staff said that no email led to it.": marked("Staff decided that no email led to this gift."),
    "The email that staff had pinned was deleted.": marked(
        "The email that staff had set was deleted."
    ),
    "pinned by staff": marked("Set by staff"),
    "matched to the first instalment": marked("Matched to the first gift of the plan"),
    "named by the gift": marked("Named by the gift"),
    "named by the gift, of another fundraiser": marked(
        "Named by the gift; belongs to another fundraiser"
    ),
    "named by the gift, but of another fundraiser": marked(
        "Named by the gift, but belongs to another fundraiser"
    ),
    "of another fundraiser": marked("Belongs to another fundraiser"),
    "not sent yet": marked("Not sent yet"),
    "sent after the gift": marked("Sent after the gift"),
    "outside the window": marked("Sent too long before the gift"),
    "bounced": marked("Bounced, so the donor did not receive it"),
    "dropped": marked("Not sent: the provider dropped it"),
    "sent earlier": marked("Sent earlier than the chosen email"),
    "sent later": marked("Sent later than the chosen email"),
}
CHOSEN = re.compile(r"to the donor's address, (\w+), the (last|first) of these")
CHOSEN_LABELS = {
    ("clicked", "last"): marked("Chosen: the latest email that the donor clicked"),
    ("opened", "last"): marked("Chosen: the latest email that the donor opened"),
    ("sent", "last"): marked("Chosen: the latest email sent to the donor"),
    ("clicked", "first"): marked("Chosen: the earliest email that the donor clicked"),
    ("opened", "first"): marked("Chosen: the earliest email that the donor opened"),
    ("sent", "first"): marked("Chosen: the earliest email sent to the donor"),
}
LOST = re.compile(r"only \w+, and another was (\w+)")
LOST_LABELS = {
    "clicked": marked("The donor clicked another email"),
    "opened": marked("The donor opened another email"),
    "sent": marked("Another email was sent to the donor"),
}
MISSED = re.compile(r"not (clicked|opened|sent)( nor (clicked|opened|sent))*")
MISSED_LABEL = marked("The donor did not open or click it as the rules require")


def reason_label(reason: str) -> str:
    """Return the label of a stored reason; a reason without a label is returned unchanged."""
    if (label := LABELS.get(reason)) is not None:
        return label
    if found := CHOSEN.fullmatch(reason):
        return CHOSEN_LABELS.get((found[1], found[2]), reason)
    if found := LOST.fullmatch(reason):
        return LOST_LABELS.get(found[1], reason)
    return MISSED_LABEL if MISSED.fullmatch(reason) else reason
