"""Alice's colleagues: one person in several organizations, roles, and the last admin."""

from concurrent.futures import ThreadPoolExecutor

import mongoengine
import pytest
from mongoengine import get_db

from config import database
from documents.access.account import Account
from documents.access.grants import ProviderProof
from documents.access.members import (
    change_role,
    end_member_sessions,
    find_invitable,
    remove_member,
)
from documents.access.password_sign_in import sign_in_by_password
from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.errors import Conflict, Unacceptable
from documents.organization import Organization
from documents.sign_on.provider_changes import check_password_remains
from documents.storage.transaction import ContendedTransaction
from documents.values.time import now
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.pages import STAFF_PASSWORD, add_staff

ANNA, BEN = "anna@example.edu", "ben@example.edu"
COLLEAGUES = 50


def join_both(alma: Organization, bolt: Organization) -> tuple[Staff, Staff]:
    first = add_staff(str(alma.id), ANNA)
    return first, Staff.add(bolt.id, "Anna B", "Anna@Example.edu", "viewer")


def test_one_person_belongs_to_two_organizations(alma: Organization, bolt: Organization) -> None:
    first, second = join_both(alma, bolt)
    assert first.account_id == second.account_id
    assert get_db().accounts.count_documents({}) == 1
    assert sign_in_by_password(ANNA, STAFF_PASSWORD) == first
    assert sign_in_by_password(ANNA, STAFF_PASSWORD, bolt.id) == second
    assert (first.name, second.name) == ("Anna", "Anna B")
    with pytest.raises(Conflict, match="several organizations"):
        Staff.named(ANNA)
    assert Staff.named(ANNA, bolt.id) == second


def test_a_person_joins_an_organization_once(alma: Organization, bolt: Organization) -> None:
    def join(number: int) -> bool:
        try:
            Staff.add((alma.id, bolt.id)[number % 2], "Anna", ANNA, "viewer")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(join, range(20))) == 2
    assert get_db().accounts.count_documents({}) == 1
    assert get_db().staff.count_documents({"deleted_at": None}) == 2


def test_nobody_replaces_the_password_of_a_person_elsewhere(
    alma: Organization, bolt: Organization
) -> None:
    add_staff(str(alma.id), ANNA)
    with pytest.raises(Conflict, match="has a password already"):
        Staff.add(bolt.id, "Anna", ANNA, "viewer", "another horse battery")
    assert sign_in_by_password(ANNA, STAFF_PASSWORD)
    assert get_db().staff.count_documents({"organization_id": bolt.id}) == 0


def test_a_password_change_in_one_organization_ends_the_sessions_in_all(
    alma: Organization, bolt: Organization
) -> None:
    first, second = join_both(alma, bolt)
    sessions = [StaffSession.begin(one) for one in (first, second)]
    first.set_password("another horse battery")
    assert [StaffSession.current(secret) for secret in sessions] == [None, None]
    late = StaffSession.current(StaffSession.begin(second))  # read before the change
    assert Staff.signed_in(late) is None


def test_a_removed_person_stays_in_the_other_organization(
    alma: Organization, bolt: Organization
) -> None:
    first, second = join_both(alma, bolt)
    add_staff(str(alma.id), BEN)
    here, there = StaffSession.begin(first), StaffSession.begin(second)
    remove_member(first)
    assert StaffSession.current(here) is None
    assert Staff.signed_in(StaffSession.current(there)) == second
    assert sign_in_by_password(ANNA, STAFF_PASSWORD) == second
    remove_member(second, may_be_last_admin=True)
    assert sign_in_by_password(ANNA, STAFF_PASSWORD) is None
    again = Staff.add(alma.id, "Anna", ANNA, "viewer")
    assert not again.has_password(STAFF_PASSWORD)
    assert again.account_id != first.account_id


def test_a_person_without_a_membership_leaves_only_an_id(alma: Organization) -> None:
    add_staff(str(alma.id), BEN)
    anna = add_staff(str(alma.id), ANNA)
    Staff.objects(id=anna.id).update_one(set__subject="https://idp.example.edu anna-7")
    StaffSession.begin(anna)
    SignInLink.make(anna)
    PasswordResetLink.make(anna, now())
    remove_member(anna)
    traces = find_traces("anna", str(anna.account_id), str(anna.id))
    assert [(name, id_) for name, id_, _ in traces] == [("staff", anna.id)]
    assert "name" not in (get_db().staff.find_one({"_id": anna.id}) or {"name": ""})
    for kind in (StaffSession, SignInLink, PasswordResetLink):
        assert kind.objects(staff_id=anna.id).count() == 0


def test_a_removed_member_takes_the_proof_out_of_a_session_elsewhere(
    alma: Organization, bolt: Organization
) -> None:
    first, second = join_both(alma, bolt)
    add_staff(str(alma.id), BEN)
    identity = "https://idp.example.edu anna-7"
    proof = ProviderProof(organization_id=alma.id, identity=identity, at=now(), issued_at=now())
    here = StaffSession.current(StaffSession.begin(first, way="single sign-on", proof=proof))
    there = StaffSession.begin(second, way="password", before=here)
    remove_member(first)
    session = StaffSession.current(there)
    assert session
    assert session.find_way(second.id, second.epoch) == "password"
    assert find_traces("anna-7") == []


def test_a_session_that_loses_all_grants_opens_nothing(
    alma: Organization, bolt: Organization
) -> None:
    """It began by the operator's link for one organization, and then showed a later one."""
    first = Staff.add(alma.id, "Anna", ANNA, "viewer")
    secret = StaffSession.begin(first, way="link")
    second = Staff.add(bolt.id, "Anna", ANNA, "viewer")
    StaffSession.current(secret).show(second)  # type: ignore[union-attr]
    remove_member(first)
    session = StaffSession.current(secret)
    assert session
    assert session.find_way(second.id, second.epoch) is None


def test_a_person_who_joins_while_the_last_membership_ends_keeps_an_account(
    alma: Organization, bolt: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_staff(str(alma.id), BEN)
    anna = add_staff(str(alma.id), ANNA)
    insert = Staff._insert_member

    def remove_meanwhile(self: Staff) -> None:
        remove_member(anna)
        insert(self)

    monkeypatch.setattr(Staff, "_insert_member", remove_meanwhile)
    joined = Staff.add(bolt.id, "Anna", ANNA, "viewer")
    assert Account.objects.get(address=ANNA).id == joined.account_id
    assert Staff.named(ANNA, bolt.id).person.email == ANNA
    assert sign_in_by_password(ANNA, STAFF_PASSWORD) is None


def test_a_password_of_one_organization_ends_with_the_membership(
    alma: Organization, bolt: Organization
) -> None:
    """It was chosen by an invitation, so it opens only that organization."""
    first, second = join_both(alma, bolt)
    third = Staff.add(Organization.create("Cole University").id, "Anna", ANNA, "viewer")
    account = Account.objects(id=first.account_id)
    account.update_one(set__password_opens=[first.id, third.id])
    remove_member(first, may_be_last_admin=True)
    assert account.get().password_opens == [third.id]
    remove_member(third)
    assert account.get().password is None
    assert account.get().password_opens == []
    assert sign_in_by_password(ANNA, STAFF_PASSWORD) is None
    assert Staff.named(ANNA) == second


def test_an_admin_ends_a_members_sessions_in_one_organization(
    alma: Organization, bolt: Organization
) -> None:
    first, second = join_both(alma, bolt)
    here, there = StaffSession.begin(first), StaffSession.begin(second)
    end_member_sessions(first)
    assert StaffSession.current(here) is None
    session = StaffSession.current(there)
    assert session
    assert Staff.signed_in(session) == second
    ended = Staff.fetch(alma.id, first.id)
    assert session.find_way(ended.id, ended.epoch) is None  # the switch needs a new sign-in


def test_a_role_change_applies_at_once(alma: Organization) -> None:
    add_staff(str(alma.id), BEN)
    anna = add_staff(str(alma.id), ANNA, "viewer")
    session = StaffSession.current(StaffSession.begin(anna))
    for role in ("editor", "admin", "viewer"):
        change_role(anna, role)
        current = Staff.signed_in(session)
        assert current
        assert current.role == role
    with pytest.raises(Unacceptable):
        change_role(anna, "owner")


def test_the_last_admin_stays(alma: Organization, bolt: Organization) -> None:
    anna = add_staff(str(alma.id), ANNA)
    add_staff(str(alma.id), BEN, "editor")
    add_staff(str(bolt.id), "charlie@example.edu")
    for act in (lambda: change_role(anna, "viewer"), lambda: remove_member(anna)):
        with pytest.raises(Conflict, match="last admin"):
            act()
    assert Staff.fetch(alma.id, anna.id).is_admin
    change_role(Staff.named(BEN), "admin")
    remove_member(anna)


@pytest.mark.parametrize(
    "way_in",
    ["signed in", "the operator's password", "another admin with a password", "sign-in link"],
)
def test_an_admin_counts_with_a_way_in(alma: Organization, way_in: str) -> None:
    """Anna may have invited an address with a slip of the pen."""
    anna = add_staff(str(alma.id), ANNA)
    ben = Staff.add(alma.id, "Ben", BEN, "admin")
    for act in (lambda: change_role(anna, "viewer"), lambda: remove_member(anna)):
        with pytest.raises(Conflict, match="last admin"):
            act()
    if way_in == "signed in":
        ben.note_sign_in()
    elif way_in == "the operator's password":
        ben.give_password(STAFF_PASSWORD)
    elif way_in == "another admin with a password":
        add_staff(str(alma.id), "carl@example.edu")
    # The operator can make a link for Ben.
    remove_member(anna, counts_invited=way_in == "sign-in link")


@pytest.mark.parametrize("opens", ["all", "the other"])
def test_a_password_from_elsewhere_is_no_way_in(
    alma: Organization, bolt: Organization, opens: str
) -> None:
    anna = add_staff(str(alma.id), ANNA)
    other = Staff.add(bolt.id, "Ben", BEN, "admin")
    other.set_password(STAFF_PASSWORD, opens=[] if opens == "all" else [other.id])
    Staff.add(alma.id, "Ben", BEN, "admin")
    with pytest.raises(Conflict, match="last admin"):
        remove_member(anna)


@pytest.mark.parametrize("lone", [False, True])
def test_an_admin_sees_the_same_whatever_other_organizations_do(
    alma: Organization, bolt: Organization, lone: bool
) -> None:
    """Ben is invited to Alma. Bolt, where he has a password, removes him."""
    anna = add_staff(str(alma.id), ANNA)
    there = add_staff(str(bolt.id), BEN)
    ben = Staff.add(alma.id, "Ben", BEN, "admin")
    if lone:
        remove_member(there, may_be_last_admin=True)
    assert find_invitable([ben]) == {ben.id}
    with pytest.raises(Conflict, match="last admin"):
        remove_member(anna)
    Staff.objects(id=anna.id).update(set__role="viewer")
    with pytest.raises(Conflict, match="No admin has a password"):
        check_password_remains(alma.id)


@pytest.mark.parametrize("act", ["demote", "remove"])
def test_fifty_admins_leave_at_once_and_one_stays(alma: Organization, act: str) -> None:
    admins = [
        Staff.add(alma.id, "Admin", f"admin{number}@example.edu", "admin")
        for number in range(COLLEAGUES)
    ]
    for one in admins:
        one.note_sign_in()

    def leave(one: Staff) -> bool:
        try:
            change_role(one, "viewer") if act == "demote" else remove_member(one)
        except ContendedTransaction:  # on a busy machine; a person repeats the request
            return leave(one)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(COLLEAGUES) as pool:
        assert sum(pool.map(leave, admins)) == COLLEAGUES - 1
    assert Staff.objects(organization_id=alma.id, role="admin", deleted_at=None).count() == 1


def test_an_unknown_address_takes_as_many_queries(real_database: str) -> None:
    mongoengine.disconnect_all()
    commands = CommandRecorder()
    database.connect_database(event_listeners=[commands])
    alma = Organization.create("Alma University")
    add_staff(str(alma.id), ANNA)
    Staff.add(alma.id, "Ben", BEN, "viewer")  # without a password
    sent = []
    for email in (ANNA, BEN, "nobody@example.edu"):
        commands.sent.clear()
        assert sign_in_by_password(email, "wrong horse battery") is None
        sent.append([read_command_name(command) for command in commands.sent])
    assert sent[0] == sent[1] == sent[2]
    mongoengine.disconnect_all()
