"""Mailgun's failures: a bounce means that the address does not work, and a block does not."""

import pytest

from tests.unit.documents.providers.mailgun_payloads import Item, make_data, read

PERMANENT_FAILURES: list[tuple[Item, tuple[str, str | None]]] = [
    ({"reason": "suppress-bounce"}, ("dropped", None)),
    ({"reason": "suppress-unsubscribe"}, ("dropped", None)),
    ({"reason": "suppress-complaint"}, ("dropped", None)),
    ({"reason": "generic", "code": 605}, ("dropped", None)),
    ({"reason": "bounce", "code": 550, "enhanced-code": "5.1.1"}, ("bounce", "hard")),
    (
        {"reason": "bounce", "code": 550, "enhanced-code": "5.5.0", "bounce-type": "hard"},
        ("bounce", "hard"),
    ),
    ({"reason": "bounce", "code": 550, "message": "Relay Not Permitted"}, ("bounce", "hard")),
    ({"reason": "bounce", "code": 550, "message": "5.1.1 No such user"}, ("bounce", "hard")),
    ({"reason": "delayed-bounce"}, ("bounce", "hard")),
    ({"reason": "generic", "code": 498, "message": "No MX for example.edu"}, ("bounce", "hard")),
    ({"reason": "generic", "enhanced-code": "5.2.1"}, ("bounce", "hard")),
    (
        {"reason": "bounce", "code": 552, "enhanced-code": "5.2.2", "bounce-type": "hard"},
        ("bounce", "blocked"),
    ),
    ({"reason": "bounce", "code": 550, "message": "550 5.7.1 Spam"}, ("bounce", "blocked")),
    ({"reason": "bounce", "enhanced-code": "5.1.8"}, ("bounce", "blocked")),
    ({"reason": "bounce", "enhanced-code": "5.3.4"}, ("bounce", "blocked")),
    ({"reason": "bounce", "bounce-type": "soft"}, ("bounce", "blocked")),
    ({"reason": "espblock", "code": 554, "bounce-type": "hard"}, ("bounce", "blocked")),
    ({"reason": "old", "code": 602, "message": "Too old"}, ("bounce", "blocked")),
    ({"reason": "generic", "code": 554}, ("bounce", "blocked")),
    ({}, ("bounce", "blocked")),
]


@pytest.mark.parametrize(("facts", "expected"), PERMANENT_FAILURES)
def test_bounces_blocks_and_drops_are_told_apart(
    facts: Item, expected: tuple[str, str | None]
) -> None:
    reason, status = facts.get("reason"), {k: v for k, v in facts.items() if k != "reason"}
    report = read(make_data("failed", severity="permanent", reason=reason, delivery_status=status))
    assert (report.type, report.bounce_type) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("generic", ("deferred", None)),
        ("greylisted", ("deferred", None)),
        ("espblock", ("deferred", None)),
        ("old", ("bounce", "blocked")),
    ],
)
def test_a_temporary_failure_is_deferred_until_mailgun_gives_up(
    reason: str, expected: tuple[str, str | None]
) -> None:
    status = {"code": 421, "retry-seconds": 600, "enhanced-code": None}
    data = make_data("failed", severity="temporary", reason=reason, delivery_status=status)
    report = read(data)
    assert (report.type, report.bounce_type) == expected
