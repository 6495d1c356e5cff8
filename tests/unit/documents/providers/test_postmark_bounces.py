"""Postmark's bounces: two types mean that the address does not work."""

import pytest

from documents.providers.postmark import PROVIDER
from documents.providers.postmark_types import BOUNCE_TYPE_CODES, BOUNCE_TYPES
from documents.providers.report import EVENT_TYPES
from tests.unit.documents.providers.postmark_payloads import (
    BOUNCE,
    ORGANIZATION,
    SUPPRESSION,
    read,
)

EXPECTED_BOUNCES = {
    "HardBounce": ("bounce", "HardBounce"),
    "BadEmailAddress": ("bounce", "BadEmailAddress"),
    "SoftBounce": ("bounce", "blocked"),
    "Blocked": ("bounce", "blocked"),
    "DMARCPolicy": ("bounce", "blocked"),
    "SpamNotification": ("bounce", "blocked"),
    "VirusNotification": ("bounce", "blocked"),
    "ChallengeVerification": ("bounce", "blocked"),
    "Unknown": ("bounce", "blocked"),
    "Transient": ("deferred", None),
    "DnsError": ("deferred", None),
    "SMTPApiError": ("dropped", None),
    "TemplateRenderingFailed": ("dropped", None),
    "ManuallyDeactivated": ("dropped", None),
    "Unconfirmed": ("dropped", None),
    "SpamComplaint": ("spamreport", None),
    "Unsubscribe": ("unsubscribe", None),
    "Subscribe": ("resubscribe", None),
    "AutoResponder": None,
    "AddressChange": None,
    "OpenRelayTest": None,
    "InboundError": None,
}


@pytest.mark.parametrize(("code", "name"), BOUNCE_TYPE_CODES.items())
def test_every_documented_bounce_type_is_told_apart(code: int, name: str) -> None:
    for facts in ({"Type": name, "TypeCode": code}, {"Type": None, "TypeCode": code}):
        reports = PROVIDER.read_events(ORGANIZATION, {**BOUNCE, **facts})
        found = [(report.type, report.bounce_type) for report in reports]
        assert found == [one for one in [EXPECTED_BOUNCES[name]] if one]


def test_each_stored_type_exists() -> None:
    assert set(BOUNCE_TYPES.values()) <= EVENT_TYPES
    assert set(EXPECTED_BOUNCES) == set(BOUNCE_TYPE_CODES.values())


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("HardBounce", ("bounce", "HardBounce")),
        ("SpamComplaint", ("spamreport", None)),
        ("ManualSuppression", ("unsubscribe", None)),
        (None, ("unsubscribe", None)),
    ],
)
def test_a_suppression_has_the_type_of_its_reason(
    reason: str | None, expected: tuple[str, str | None]
) -> None:
    report = read({**SUPPRESSION, "SuppressionReason": reason})
    assert (report.type, report.bounce_type) == expected
