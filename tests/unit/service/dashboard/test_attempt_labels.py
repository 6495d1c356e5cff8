"""The dashboard has a text in its catalogues for each reason that an attempt failed."""

import errno

import pytest

from jobs.sender.responses import (
    FAILURE_TEXTS,
    BlockedAddress,
    describe_failure,
    describe_status,
)
from service.dashboard.presentation.attempt_labels import (
    ERROR_LABELS,
    REDIRECT_LABEL,
    error_label,
)


def test_each_stored_reason_is_a_text_of_the_catalogues() -> None:
    stored = {text for _, text in FAILURE_TEXTS}
    stored |= {describe_failure(error) for error in (BlockedAddress(), ValueError())}
    stored.add(describe_failure(OSError(errno.ECONNREFUSED, "")))
    assert stored == set(ERROR_LABELS)


@pytest.mark.parametrize(
    ("status", "label"), [(200, ""), (301, REDIRECT_LABEL), (410, ""), (503, "")]
)
def test_a_status_needs_no_further_reason_except_a_redirect(status: int, label: str) -> None:
    assert error_label(status, describe_status(status)) == label


def test_an_unknown_reason_is_shown_unchanged() -> None:
    assert error_label(None, "The receiver sleeps.") == "The receiver sleeps."
    assert error_label(None, None) == ""
