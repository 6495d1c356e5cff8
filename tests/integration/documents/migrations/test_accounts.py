"""Staff of the earlier layout, in which a row was also the person, get accounts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.former_staff import give_account
from documents.access.members import find_invitable, remove_member
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.migrations import migration as module
from documents.migrations.accounts import ACCOUNTS_MIGRATION
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.organization import Organization
from documents.storage.record import build_record_row
from documents.values.time import now
from tests.integration.documents.migrations.layout import content
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.pages import CHEAP_HASHER, STAFF_PASSWORD, Browser

ANNA, BEN, CARL = "anna@example.edu", "ben@example.edu", "carl@example.edu"
OTHER_PASSWORD = "another horse battery"
OURS_WITH_REMOVED = tuple(one for one in MIGRATIONS if one.number >= ACCOUNTS_MIGRATION)
OURS = tuple(one for one in MIGRATIONS if one.number == ACCOUNTS_MIGRATION)


def add_former(organization_id: ObjectId, email: str, **more: Any) -> ObjectId:
    """Store a member as the earlier version did."""
    row: dict[str, Any] = build_record_row(
        Staff,
        organization_id=organization_id,
        name=email.partition("@")[0].title(),
        email=email,
        address=email,
        role="admin",
        password=CHEAP_HASHER.hash(STAFF_PASSWORD),
        epoch=3,
        **more,
    )
    id_: ObjectId = get_db().staff.insert_one(row).inserted_id
    return id_


def begin_former_session(staff_id: ObjectId) -> str:
    """Begin a session as the earlier version did."""
    secret = StaffSession.begin(Staff.objects.get(id=staff_id))
    lacking = {"account_id": "", "account_epoch": "", "grants": ""}
    get_db().staff_sessions.update_many({"staff_id": staff_id}, {"$unset": lacking})
    return secret


def find_signed_in(secret: str) -> Staff | None:
    return Staff.signed_in(StaffSession.current(secret))


def test_each_member_gets_an_account_page_by_page(
    alma: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [add_former(alma.id, email) for email in (ANNA, BEN, CARL)]
    gone = add_former(alma.id, "gone@example.edu", deleted_at=now())
    get_db().staff.update_one({"_id": gone}, {"$unset": {"address": "", "password": ""}})
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    pages: Any = run_migrations(OURS)
    next(pages)
    pages.close()  # the process stops
    assert get_db().accounts.count_documents({}) == 1
    late = add_former(alma.id, "late@example.edu")  # an earlier version still runs
    list(run_migrations(OURS))
    assert {row["_id"] for row in get_db().accounts.find()} == {*ids, late}
    for row in get_db().staff.find({"deleted_at": None}):
        assert row["account_id"] == row["_id"]
        assert not {"address", "password"} & row.keys()
    for email in (ANNA, BEN, CARL, "late@example.edu"):
        assert sign_in_by_password(email, STAFF_PASSWORD)
    done = content()
    get_db().migrations.delete_many({"_id": ACCOUNTS_MIGRATION})
    list(run_migrations(OURS))
    assert content() == done


def test_people_sign_in_before_during_and_after_it(
    alma: Organization, real_client: testing.TestClient
) -> None:
    add_former(alma.id, ANNA)
    before = Browser(real_client)
    assert before.sign_in(ANNA).headers["location"] == "/dashboard"
    list(run_migrations(OURS))
    assert before.get("/dashboard").status_code == 200
    after = Browser(real_client)
    after.sign_in(ANNA)
    after.get("/dashboard/account")
    fields = {"current": STAFF_PASSWORD, "password": OTHER_PASSWORD}
    assert after.send("/dashboard/account", fields).status_code == 303
    assert before.get("/dashboard").status_code == 303


def test_sessions_of_the_earlier_version_stay_until_a_password_change(alma: Organization) -> None:
    anna = add_former(alma.id, ANNA)
    secret, other = begin_former_session(anna), begin_former_session(anna)
    list(run_migrations(OURS))
    assert find_signed_in(secret)
    Staff.named(ANNA).set_password(OTHER_PASSWORD)
    assert find_signed_in(secret) is find_signed_in(other) is None


def change_password(staff_id: ObjectId) -> None:
    Staff.objects.get(id=staff_id).set_password(OTHER_PASSWORD)


def sign_out(staff_id: ObjectId) -> None:
    Staff.objects.get(id=staff_id).sign_out_everywhere()


def remove(staff_id: ObjectId) -> None:
    remove_member(Staff.objects.get(id=staff_id), may_be_last_admin=True)


@pytest.mark.parametrize(
    ("act", "password"), [(change_password, OTHER_PASSWORD), (sign_out, STAFF_PASSWORD)]
)
def test_a_change_between_reading_and_writing_is_kept(
    alma: Organization,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[ObjectId], None],
    password: str,
) -> None:
    anna = add_former(alma.id, ANNA)
    secret = begin_former_session(anna)
    interrupt_once(monkeypatch, lambda: act(anna))
    list(run_migrations(OURS))
    found = sign_in_by_password(ANNA, password)
    assert found
    assert found.account_id == anna
    assert find_signed_in(secret) is None


def test_a_member_who_is_removed_meanwhile_gets_no_account(
    alma: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = add_former(alma.id, ANNA)
    interrupt_once(monkeypatch, lambda: remove(anna))
    list(run_migrations(OURS))
    assert get_db().accounts.find_one() is None
    assert Staff.known(ANNA) is None


def interrupt_once(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let another process act after the migration has read a page, and before it writes."""
    acts = [act]

    def interrupted(*args: Any) -> None:
        if acts:
            acts.pop()()
        give_account(*args)

    monkeypatch.setattr("documents.migrations.accounts.give_account", interrupted)


def test_an_earlier_version_adds_a_known_person(alma: Organization, bolt: Organization) -> None:
    """Its check finds no account. So it can add a person again, here or elsewhere."""
    anna = add_former(alma.id, ANNA)
    list(run_migrations(OURS))
    elsewhere = add_former(bolt.id, ANNA)
    found = Staff.list_known(ANNA)
    assert [one.id for one in found] == [anna, elsewhere]
    assert {one.account_id for one in found} == {anna}
    again = add_former(alma.id, ANNA)
    assert [one.id for one in Staff.list_known(ANNA)] == [anna, elsewhere]
    assert get_db().staff.find_one({"_id": again})["deleted_at"] is not None
    assert get_db().accounts.count_documents({}) == 1


def test_a_person_of_the_earlier_layout_joins_another_organization(
    alma: Organization, bolt: Organization
) -> None:
    anna = add_former(alma.id, ANNA)
    secret = begin_former_session(anna)
    Staff.add(bolt.id, "Anna", ANNA, "viewer")
    assert find_signed_in(secret)
    assert [one.organization_id for one in Staff.list_known(ANNA)] == [alma.id, bolt.id]
    assert sign_in_by_password(ANNA, STAFF_PASSWORD)


def test_people_who_were_removed_before_leave_only_an_id(alma: Organization) -> None:
    gone = add_former(alma.id, "gone@example.edu", deleted_at=now())
    stays = add_former(alma.id, ANNA)
    account = {"address": "lone@example.edu", "email": "lone@example.edu", "name": "Lone"}
    get_db().accounts.insert_many([{**account, "joined_at": now() - timedelta(days=1)}])
    coming = {name: f"x{value}" for name, value in account.items()}  # its membership follows
    get_db().accounts.insert_one({**coming, "joined_at": now()})
    list(run_migrations(OURS_WITH_REMOVED))
    assert find_traces("gone@example.edu", "lone@example.edu") == [
        ("accounts", one["_id"], text)
        for one in get_db().accounts.find({"name": "xLone"})
        for text in ("xlone@example.edu", "xlone@example.edu")
    ]
    assert get_db().staff.find_one({"_id": gone}, {"role": 1}) == {"_id": gone, "role": "admin"}
    assert sign_in_by_password(ANNA, STAFF_PASSWORD).id == stays  # type: ignore[union-attr]


def test_members_of_earlier_layouts_get_no_invitation_that_an_admin_could_use(
    alma: Organization,
) -> None:
    """An earlier build gave them accounts without this note."""
    anna = add_former(alma.id, ANNA)
    list(run_migrations(OURS))
    noted = get_db().staff.find_one_and_update(
        {"_id": anna}, {"$unset": {"was_given_password": ""}}
    )
    assert noted["was_given_password"]
    ben = Staff.add(alma.id, "Ben", BEN, "viewer")
    list(run_migrations(OURS_WITH_REMOVED))
    members = list(Staff.live(alma.id))
    assert {one.id for one in members} == {anna, ben.id}
    assert find_invitable(members) == {ben.id}
