"""Work for Alice's university that continues only after its deletion leaves nothing of it."""

from datetime import timedelta

import pytest
from bson import ObjectId
from falcon import testing

from documents.access import departures
from documents.access.account import Account
from documents.access.departures import NEW_ACCOUNT_TIME
from documents.access.staff import Staff
from documents.organization import Organization
from documents.tracking.ingest import tally_organization
from documents.tracking.rules import MachineClickRule
from documents.values.time import now
from tests.integration.documents.organizations.conftest import delete
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.cast import Api, University, create_university


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's Zebra University", Api.in_process(real_client))


def find_left(place: University) -> list[tuple[str, object, str]]:
    return [one for one in find_traces(place.id) if one[0] not in {"audit", "open_acts"}]


def test_a_killed_request_leaves_no_account(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died after it stored the account, and before it stored the membership."""

    def die(_: Staff) -> None:
        raise KeyboardInterrupt

    charlie = Organization.create("Charlie's University")
    Staff.add(charlie.id, "Charlie", "charlie@example.edu", "admin")
    with monkeypatch.context() as patch:
        patch.setattr(Staff, "_insert_member", die)
        with pytest.raises(KeyboardInterrupt):
            Staff.add(ObjectId(alice.id), "Zelda", "zelda@example.edu", "admin")
    assert Account.objects.count() == 2
    delete(alice)
    assert [one.email for one in Account.objects] == ["charlie@example.edu"]


@pytest.mark.parametrize(("minutes", "is_found"), [(59, False), (61, True)])
def test_a_new_account_waits_an_hour_for_its_membership(
    alice: University, monkeypatch: pytest.MonkeyPatch, minutes: int, is_found: bool
) -> None:
    monkeypatch.setattr(departures, "NEW_ACCOUNT_TIME", NEW_ACCOUNT_TIME)
    account, _ = Account.ensure("Zelda", "zelda@example.edu")
    at = now() - timedelta(minutes=minutes)
    Account.objects(id=account.id).update_one(set__created_at=at, set__joined_at=at)
    assert (account.id in departures.find_lone_accounts()) is is_found


def test_a_worker_that_was_paused_takes_no_turn(alice: University) -> None:
    delete(alice)
    assert tally_organization(ObjectId(alice.id), MachineClickRule()) == 0
    assert find_left(alice) == []
