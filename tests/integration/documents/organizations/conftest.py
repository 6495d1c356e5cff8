"""Deletions of organizations that do not wait."""

from datetime import timedelta

import pytest

from documents.access import departures
from documents.organization import Organization
from documents.organizations import deleting
from documents.organizations.deleting import list_deletions
from documents.organizations.deletion_request import request_deletion
from jobs.periodic import deletion
from tools.testbed.cast import University


@pytest.fixture(autouse=True)
def is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "NEW_ACCOUNT_TIME", timedelta(0))
    monkeypatch.setattr(deleting, "QUIET_TIME", timedelta(0))
    monkeypatch.setattr(deletion, "MAX_REST_SECONDS", 0.0)


def delete(place: University) -> None:
    """Delete an organization, as a worker does."""
    request_deletion(Organization.named(place.id))
    finish_deletions()


def finish_deletions() -> None:
    while list_deletions():
        deletion.step()
