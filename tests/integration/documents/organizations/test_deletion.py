"""The deletion of Alice's university leaves nothing of it, and changes nothing of Charlie's."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents import organization, webhook_key
from documents.access.account import Account
from documents.access.api_key import ApiKey
from documents.access.audit import AuditEntry, link_finished_acts, verify_chain
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.errors import NotFound
from documents.imports.users import UserImport
from documents.notices.problems import list_problems
from documents.organization import Organization
from documents.organizations import batches, deleting
from documents.organizations.deleting import delete_next_batch, list_deletions
from documents.organizations.deletion_request import request_deletion
from documents.recount import recount
from documents.shared_accounts.shared_post import SharedPost
from documents.values.time import now
from documents.webhook_rejections import rejection_notes
from jobs.periodic import deletion
from jobs.sweep import sweep_due_records
from service.middleware.api_key import forget_api_keys
from tests.integration.documents.organizations.conftest import delete, finish_deletions
from tests.integration.documents.organizations.furnished import (
    OWNED_DOCUMENTS,
    fill_empty_collections,
    find_traces,
    furnish_fully,
    read_contents,
)
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

# Rows of the whole service that the deletion, or time, changes.
SERVICE_COLLECTIONS = {"open_acts", "audit", "leases", "recounts", "organizations"}


@pytest.fixture
def api(real_client: testing.TestClient) -> Api:
    return Api.in_process(real_client)


@pytest.fixture
def alice(api: Api) -> University:
    return create_university("Alice's Zebra University", api)


@pytest.fixture
def charlie(api: Api) -> University:
    return create_university("Charlie's University", api)


def list_own_ids(place: University) -> set[str]:
    """Return the IDs of all rows of an organization, as text."""
    own = {"organization_id": ObjectId(place.id)}
    return {
        row["_id"].hex() if isinstance(row["_id"], bytes) else str(row["_id"])
        for name in get_db().list_collection_names()
        for row in get_db()[name].find(own, {"_id": 1})
    } | {place.id}


def test_nothing_of_the_organization_remains_and_others_keep_every_byte(
    alice: University, charlie: University
) -> None:
    furnish_fully(alice, "zelda")
    furnish_fully(charlie, "charlie")
    fill_empty_collections(ObjectId(alice.id))
    empty = [
        one._get_collection_name()
        for one in OWNED_DOCUMENTS
        if not get_db()[one._get_collection_name()].find_one(
            {"organization_id": ObjectId(alice.id)}
        )
    ]
    assert empty == []
    for name in ("gift_days", "counter_changes", "counter_sums", "messages", "accounts"):
        assert get_db()[name].estimated_document_count() > 0, name
    ids = list_own_ids(alice)
    others = {
        name: rows
        for name, rows in _of_others(alice).items()
        if name not in SERVICE_COLLECTIONS | {"turns", "asked_turns"}
    }
    delete(alice)
    link_finished_acts()
    audited = {"audit", "open_acts"}
    assert [one for one in find_traces(*ids, "zebra", "zelda") if one[0] not in audited] == []
    assert {name: rows for name, rows in read_contents().items() if name in others} == others
    assert get_db().recounts.find_one({"_id": "steady"})["off_of"] == {charlie.id: 1}
    assert [str(row["_id"]) for row in get_db().organizations.find()] == [charlie.id]


def _of_others(place: University) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that the deletion of a place must not change."""
    anchors = {
        str(row["_id"])
        for name in ("fundraisers", "mailings", "emails")
        for row in get_db()[name].find({"organization_id": ObjectId(place.id)})
    }
    accounts = set(get_db().staff.distinct("account_id", {"organization_id": ObjectId(place.id)}))
    contents = read_contents(without=place.id)

    def is_own(name: str, row: dict[str, Any]) -> bool:
        if name == "accounts":
            return row["_id"] in accounts
        named = f"{row['_id']} {row.get('of')} {row.get('email_id')}"
        is_child = name in {"gift_days", "donors", "counter_changes", "counter_sums", "messages"}
        return is_child and any(id_ in named for id_ in anchors)

    return {name: [row for row in rows if not is_own(name, row)] for name, rows in contents.items()}


def test_the_service_keeps_the_id_without_the_name(alice: University) -> None:
    delete(alice)
    link_finished_acts()
    entries = AuditEntry.objects(organization_id=None)
    assert [(one.action, one.record, one.actor) for one in entries] == [
        ("org delete", alice.id, "command line")
    ]
    assert verify_chain(None).broken_at is None


def test_entrances_close_at_once(api: Api, alice: University) -> None:
    alice.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring)
    staff = Staff.add(ObjectId(alice.id), "Zelda", "zelda@example.edu", "admin", "correct horse b")
    session = StaffSession.begin(staff)
    request_deletion(Organization.named(alice.id))
    forget_api_keys()
    _forget_webhook_keys()
    assert alice.call("GET", "/v1/fundraisers").status == 401
    assert alice.deliver([make_event(email, "open", 1_700_000_000)]).status in {401, 404}
    assert StaffSession.current(session) is None
    assert Staff.known("zelda@example.edu") is None
    assert sign_in_by_password("zelda@example.edu", "correct horse b") is None
    with pytest.raises(NotFound):
        Organization.named(alice.id)


def _forget_webhook_keys() -> None:
    webhook_key._known.clear()


def test_a_person_of_both_organizations_keeps_the_other(
    alice: University, charlie: University
) -> None:
    both = Staff.add(ObjectId(charlie.id), "Eve", "eve@example.edu", "admin", "correct horse b")
    Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    secret = StaffSession.begin(both)
    delete(alice)
    session = StaffSession.current(secret)
    assert session is not None
    assert [one.staff_id for one in session.grants] == [both.id]
    assert sign_in_by_password("eve@example.edu", "correct horse b") is not None
    assert Account.objects.count() == 1


def test_a_former_member_leaves_no_account(alice: University) -> None:
    from documents.access.members import remove_member

    Staff.add(ObjectId(alice.id), "Zelda", "zelda@example.edu", "admin")
    remove_member(Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer"))
    delete(alice)
    assert Account.objects.count() == 0


def test_an_account_that_goes_while_a_person_joins_is_restored(
    alice: University, charlie: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    insert = Staff._insert_member

    def delete_meanwhile(self: Staff) -> None:
        Account.objects.delete()
        insert(self)

    monkeypatch.setattr(Staff, "_insert_member", delete_meanwhile)
    joined = Staff.add(ObjectId(charlie.id), "Eve", "eve@example.edu", "viewer")
    assert Account.objects.get().id == joined.account_id
    found = Staff.named("eve@example.edu", ObjectId(charlie.id))
    session = StaffSession.current(StaffSession.begin(found))
    assert Staff.signed_in(session) == joined


def test_rows_that_late_work_stores_go_in_a_later_walk(alice: University) -> None:
    spring = alice.fundraiser()
    request_deletion(Organization.named(alice.id))
    late = 3
    while list_deletions():
        if late and not delete_next_batch(ObjectId(alice.id)):
            break
        state = (get_db().organizations.find_one() or {}).get("deletion") or {}
        if late and state.get("step") == "webhook_keys":
            late -= 1
            row = {"fundraiser_id": ObjectId(spring), "organization_id": ObjectId(alice.id)}
            get_db().donors.insert_one({**row, "_id": f"late {late}"})
        elif not late:
            finish_deletions()
    assert late == 0
    assert find_traces(alice.id) == [] or {one[0] for one in find_traces(alice.id)} <= {
        "open_acts",
        "audit",
    }


def test_work_continues_during_the_deletion(
    alice: University, charlie: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settling, new gifts and Charlie's traffic go on while small batches delete."""
    for name in ("DELETED_ROWS_PER_BATCH", "EMAILS_PER_BATCH", "ANCHORS_PER_BATCH"):
        monkeypatch.setattr(batches, name, 2)
    monkeypatch.setattr(batches, "SCANNED_ROWS_PER_BATCH", 3)
    monkeypatch.setattr(deleting, "QUIET_TIME", timedelta(seconds=1))
    furnish_fully(alice, "zelda")
    ids = list_own_ids(alice)
    own = ObjectId(alice.id)
    spring = get_db().fundraisers.find_one({"organization_id": own})
    gift = get_db().donations.find_one({"organization_id": own, "counted": {"$ne": []}})
    assert spring is not None
    assert gift is not None
    request_deletion(Organization.named(alice.id))

    def keep_working() -> None:
        for number in range(30):
            late = {**gift, "_id": ObjectId(), "external_id": f"late-{number}", "counted": []}
            get_db().donations.insert_one({**late, "due": spring["created_at"]})
            sweep_due_records()

    place = charlie.fundraiser()
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(keep_working)
        while not working.done():
            deletion.step()
            charlie.gift(place, donor=BOB)
        working.result()
    while list_deletions():
        deletion.step()
    sweep_due_records()
    traces = find_traces(*ids, "zebra", "zelda")
    assert [one for one in traces if one[0] not in {"audit", "open_acts"}] == []
    settle_all()
    assert charlie.get(f"/v1/fundraisers/{place}")["donations_count"] > 0


def test_a_long_import_stores_nothing_more(alice: University) -> None:
    importing = UserImport(ObjectId(alice.id))
    request_deletion(Organization.named(alice.id))
    importing.add(1, {"name": "Eve", "email": "eve@example.edu"})
    with pytest.raises(NotFound):
        importing.flush()


def test_a_collection_of_a_later_version_is_emptied(alice: University, charlie: University) -> None:
    rows = [{"organization_id": ObjectId(one.id)} for one in (alice, charlie)]
    get_db().of_a_later_version.insert_many(rows)
    # IDs of several types
    get_db().of_a_later_version.insert_one({"_id": "x", "organization_id": ObjectId(alice.id)})
    get_db().of_a_later_version.insert_one({"_id": b"x", "organization_id": ObjectId(alice.id)})
    delete(alice)
    left = get_db().of_a_later_version.distinct("organization_id")
    get_db().of_a_later_version.drop()
    assert left == [ObjectId(charlie.id)]


def test_two_deletions_at_once_are_one(alice: University) -> None:
    place = Organization.named(alice.id)
    times = []

    def request() -> None:
        times.append(request_deletion(place).replace(microsecond=0))

    threads = [threading.Thread(target=request) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(times)) == 1
    assert list_deletions() == [place.id]
    finish_deletions()
    assert Organization.objects.count() == 0


def test_a_key_that_a_late_request_creates_stops_working(alice: University) -> None:
    request_deletion(Organization.named(alice.id))
    ApiKey.issue(ObjectId(alice.id), "late", ["admin"])
    delete_next_batch(ObjectId(alice.id))
    assert ApiKey.objects.count() == 0


def test_every_row_of_a_collection_names_its_organization_unless_declared(
    alice: University,
) -> None:
    """`donors` have a field for it that settling leaves empty, so their fundraiser finds them."""
    furnish_fully(alice, "zelda")
    names = [one._get_collection_name() for one in OWNED_DOCUMENTS]
    lacking = {name for name in names if get_db()[name].find_one({"organization_id": None})}
    assert lacking == {"donors"}


def test_what_keeps_arriving_does_not_delay_the_end(
    alice: University, charlie: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Posts without a key, events of a shared account, and wrong counters are dropped."""
    alice.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring)
    settle_all()
    get_db().fundraisers.update_one({"_id": ObjectId(spring)}, {"$set": {"emails_count": 9}})
    request_deletion(Organization.named(alice.id))
    organization._deleting.clear()
    webhook_key._known.clear()
    assert alice.deliver([make_event(email, "open", 1_700_000_000)]).status == 401
    rejection_notes.flush()
    item = make_event(email, "open", 1_700_000_000)
    SharedPost.receive("sendgrid", json.dumps([item]).encode())
    sweep_due_records()
    assert list(recount.find_drifts()) == []
    assert list(list_problems(now())) == []
    own = {"organization_id": ObjectId(alice.id)}
    for name in ("webhook_rejections", "deliveries", "incidents"):
        assert get_db()[name].find_one(own) is None, name
    assert get_db().shared_posts.find_one() is None
