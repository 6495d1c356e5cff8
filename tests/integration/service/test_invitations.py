"""An admin invites a person. The link passes through the admin's hands, so it proves little."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.account import Account
from documents.access.members import find_invitable, remove_member
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.errors import Conflict
from documents.mail.delivery import send_due_mails
from documents.mail.invitation import make_mailed_link, send_invitation
from documents.organization import Organization
from service.mail.register import register_renderers
from tools.testbed.cast import University, create_university
from tools.testbed.mail_server import MailServer
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text, sign_in_staff

BEN = "ben@example.edu"
OTHER_PASSWORD = "another horse battery"
LINK = "/dashboard/sign-in/link"


def follow(client: testing.TestClient, secret: str) -> Browser:
    browser = Browser(client)
    browser.get(LINK, query_string=f"token={secret}")
    assert browser.send(LINK, {"token": secret}).status_code == 303
    browser.get("/dashboard/account")
    return browser


def invite(place: University) -> str:
    invited = Staff.add(ObjectId(place.id), "Ben", BEN, "viewer")
    return SignInLink.make_invitation(invited)


def test_a_new_person_follows_the_link_and_chooses_a_password(
    real_client: testing.TestClient, alma: University
) -> None:
    browser = follow(real_client, invite(alma))
    assert browser.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    assert browser.get("/dashboard").status_code == 200
    assert Browser(real_client).sign_in(BEN).status_code == 303


def test_an_invitation_opens_only_its_own_organization(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    """Bolt's admin follows the link that is for Ben, who works for Alma."""
    add_staff(alma.id, BEN)
    browser = follow(real_client, invite(bolt))
    page = extract_text(browser.get("/dashboard/account"))
    assert "Bolt University" in page
    assert "Alma University" not in page
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.status_code == 404
    browser.get("/dashboard/account")
    fields = {"password": OTHER_PASSWORD}
    assert browser.send("/dashboard/account", fields).status_code == 422
    assert sign_in_by_password(BEN, STAFF_PASSWORD)


def test_an_invited_session_shows_no_session_of_other_organizations(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    at_alma = Browser(real_client)
    at_alma.sign_in(BEN)
    browser = follow(real_client, invite(bolt))
    sessions = browser.get("/dashboard/account").text.partition('id="sessions-title"')[2]
    assert sessions.count('<td data-title="Signed in">') == 1
    page = at_alma.get("/dashboard/account").text
    assert page.partition('id="sessions-title"')[2].count('<td data-title="Signed in">') == 2


def test_an_invitation_signs_out_of_its_own_organization_only(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    at_alma = Browser(real_client)
    at_alma.sign_in(BEN)
    browser = follow(real_client, invite(bolt))
    assert browser.send("/dashboard/sign-out", {"everywhere": "1"}).status_code == 303
    assert browser.get("/dashboard").status_code == 303
    assert at_alma.get("/dashboard").status_code == 200


@pytest.mark.parametrize("first", ["invited", "added by the operator"])
@pytest.mark.parametrize("then", ["joins before", "joins after"])
def test_a_password_that_an_admin_may_know_opens_no_other_organization(
    real_client: testing.TestClient, alma: University, bolt: University, first: str, then: str
) -> None:
    """Bolt's admin follows a link for Ben, and chooses a password."""
    if first == "invited":
        secret = invite(bolt)
    else:
        added = Staff.add(ObjectId(bolt.id), "Ben", BEN, "viewer")
        assert find_invitable([added]) == {added.id}
        secret = SignInLink.make_invitation(added)
    if then == "joins before":
        Staff.add(ObjectId(alma.id), "Ben", BEN, "admin")
    hostile = follow(real_client, secret)
    assert hostile.send("/dashboard/account", {"password": OTHER_PASSWORD}).status_code == 303
    if then == "joins after":
        Staff.add(ObjectId(alma.id), "Ben", BEN, "admin")
    hostile = Browser(real_client)
    assert hostile.sign_in(BEN, OTHER_PASSWORD).status_code == 303
    assert "Bolt University" in extract_text(hostile.get("/dashboard/account"))
    assert "Alma" not in hostile.get("/dashboard").text
    assert hostile.send("/dashboard/organization", {"organization": alma.id}).status_code == 404
    assert_opens_only_bolt(real_client, alma)
    assert sign_in_by_password(BEN, OTHER_PASSWORD, ObjectId(alma.id)) == Staff.named(
        BEN, ObjectId(bolt.id)
    )
    again = "one more horse battery"
    hostile.get("/dashboard/account")
    fields = {"current": OTHER_PASSWORD, "password": again}
    assert hostile.send("/dashboard/account", fields).status_code == 303
    assert Account.objects.get().password_opens == [Staff.named(BEN, ObjectId(bolt.id)).id]


def assert_opens_only_bolt(client: testing.TestClient, alma: University) -> None:
    browser = Browser(client)
    browser.get("/dashboard/sign-in", query_string=f"organization={alma.id}")
    fields = {"email": BEN, "password": OTHER_PASSWORD, "organization": alma.id}
    assert browser.send("/dashboard/sign-in", fields).status_code == 303
    assert "Bolt University" in extract_text(browser.get("/dashboard/account"))


def test_a_link_of_the_operator_replaces_a_password_that_an_admin_may_know(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    hostile = follow(real_client, invite(bolt))
    hostile.send("/dashboard/account", {"password": OTHER_PASSWORD})
    joined = Staff.add(ObjectId(alma.id), "Ben", BEN, "admin")
    ben = follow(real_client, SignInLink.make(joined))
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    assert sign_in_by_password(BEN, STAFF_PASSWORD) == joined
    assert sign_in_by_password(BEN, OTHER_PASSWORD) is None
    assert hostile.get("/dashboard").status_code == 303
    hostile = follow(real_client, SignInLink.make_invitation(Staff.named(BEN, ObjectId(bolt.id))))
    fields = {"current": "?", "password": OTHER_PASSWORD}
    assert hostile.send("/dashboard/account", fields).status_code == 422
    assert sign_in_by_password(BEN, STAFF_PASSWORD, ObjectId(alma.id)) == joined


def test_an_invitation_changes_nothing_in_other_organizations(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    """Neither a password that was chosen after an invitation, nor sessions of it."""
    ben = follow(real_client, invite(alma))
    ben.send("/dashboard/account", {"password": STAFF_PASSWORD})
    for _ in range(2):
        invite(bolt)
        remove_member(Staff.named(BEN, ObjectId(bolt.id)))
        assert ben.get("/dashboard").status_code == 200
        assert sign_in_by_password(BEN, STAFF_PASSWORD) == Staff.named(BEN)


def test_a_password_after_an_invitation_ends_nothing_elsewhere(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    """Ben has no password: he works for Alma by a link. Bolt's admin chooses one, twice."""
    added = Staff.add(ObjectId(alma.id), "Ben", BEN, "viewer")
    ben = follow(real_client, SignInLink.make(added))
    hostile = follow(real_client, invite(bolt))
    fields = {"password": OTHER_PASSWORD}
    assert hostile.send("/dashboard/account", fields).status_code == 303
    late = SignInLink.make(added)
    hostile.get("/dashboard/account")
    again = {"current": OTHER_PASSWORD, "password": "one more horse battery"}
    assert hostile.send("/dashboard/account", again).status_code == 303
    assert ben.get("/dashboard").status_code == 200
    assert follow(real_client, late).get("/dashboard").status_code == 200
    assert sign_in_by_password(BEN, OTHER_PASSWORD) is None


def test_a_sign_in_beside_a_change_of_a_limited_password_is_void(
    real_client: testing.TestClient, bolt: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = Staff.add(ObjectId(bolt.id), "Ben", BEN, "viewer").set_password(
        STAFF_PASSWORD, opens=[Staff.named(BEN).id]
    )
    check = Account.has_same_password

    def change_before(account: Account) -> bool:
        member.set_password(OTHER_PASSWORD, opens=[member.id])
        return check(account)

    monkeypatch.setattr(Account, "has_same_password", change_before)
    assert sign_in_by_password(BEN, STAFF_PASSWORD) is None


def test_the_current_password_is_asked_for_in_each_organization_of_the_browser(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    """Mallory finds Ben's browser, which shows the other organization."""
    ben = follow(real_client, invite(alma))
    ben.send("/dashboard/account", {"password": STAFF_PASSWORD})
    secret = invite(bolt)
    ben.get(LINK, query_string=f"token={secret}")
    ben.send(LINK, {"token": secret})
    assert "Bolt University" in extract_text(ben.get("/dashboard/account"))
    assert ben.send("/dashboard/account", {"password": OTHER_PASSWORD}).status_code == 422
    ben.get("/dashboard/account")
    fields = {"current": STAFF_PASSWORD, "password": OTHER_PASSWORD}
    assert ben.send("/dashboard/account", fields).status_code == 303


def test_a_reset_overtakes_a_change_with_the_former_password(alma: University) -> None:
    add_staff(alma.id, BEN)
    stale = Staff.named(BEN)
    assert stale.person
    Staff.named(BEN).set_password(OTHER_PASSWORD)
    with pytest.raises(Conflict):
        stale.set_password("one more horse battery")
    assert sign_in_by_password(BEN, OTHER_PASSWORD)


def test_a_password_opens_what_its_browser_had_opened(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    """Ben follows the invitations of two organizations without a mail server."""
    ben = follow(real_client, invite(alma))
    secret = invite(bolt)
    ben.get(LINK, query_string=f"token={secret}")
    ben.send(LINK, {"token": secret})
    ben.get("/dashboard/account")
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    again = Browser(real_client)
    again.sign_in(BEN)
    for place in (alma, bolt):
        again.get("/dashboard/account")
        answer = again.send("/dashboard/organization", {"organization": place.id})
        assert answer.headers["location"] == "/dashboard"
    other = create_university("Other University", alma.api)
    Staff.add(ObjectId(other.id), "Ben", BEN, "viewer")
    assert "Other University" not in again.get("/dashboard").text


def test_an_invitation_does_not_replace_a_password_of_other_organizations(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    ben = follow(real_client, invite(alma))
    ben.send("/dashboard/account", {"password": STAFF_PASSWORD})
    browser = follow(real_client, invite(bolt))
    answer = browser.send("/dashboard/account", {"password": OTHER_PASSWORD})
    assert answer.status_code == 409
    assert "ask your Matchback operator for a sign-in link" in extract_text(answer)
    assert "several organizations" not in extract_text(answer)
    assert sign_in_by_password(BEN, OTHER_PASSWORD) is None


@pytest.mark.parametrize(
    "email",
    [
        "\uff42en@example.edu",
        '"ben"@example.edu',
        "be\u200bn@example.edu,",
        "\u212aben@example.edu",
    ],
)
def test_no_admin_takes_an_address_by_another_spelling(
    real_client: testing.TestClient, bolt: University, email: str
) -> None:
    """The mail could reach another mailbox, whose owner would then choose Ben's password."""
    browser = sign_in_staff(real_client, bolt.id, "hostile@bolt.example.edu")
    browser.get("/dashboard/settings/staff")
    fields = {"name": "Ben", "email": email, "role": "viewer"}
    answer = browser.send("/dashboard/settings/staff", fields)
    known = [one.email for one in Account.objects if one.email != "hostile@bolt.example.edu"]
    assert (answer.status_code, known) in [(422, []), (201, [BEN])], ascii(known)


def test_joining_while_the_first_password_is_chosen_opens_nothing_more(
    alma: University, bolt: University
) -> None:
    for number in range(10):
        email = f"ben{number}@example.edu"
        member = Staff.add(ObjectId(bolt.id), "Ben", email, "viewer")

        def choose(member: Staff = member) -> None:
            member.set_password(OTHER_PASSWORD, opens=[member.id])

        def join(email: str = email) -> None:
            Staff.add(ObjectId(alma.id), "Ben", email, "admin")

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(choose), pool.submit(join)]:
                done.result()
        assert sign_in_by_password(email, OTHER_PASSWORD, ObjectId(alma.id)) == member


def test_the_answer_is_the_same_whether_the_person_is_known(
    alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    members = [
        Staff.add(ObjectId(bolt.id), "Person", email, "viewer")
        for email in (BEN, "new@example.edu")
    ]
    shown = [
        {name: getattr(staff, name) for name in ("name", "role", "last_sign_in_at", "epoch")}
        for staff in members
    ]
    assert shown[0] == shown[1]
    assert len({len(send_invitation(staff) or "") for staff in members}) == 1
    assert find_invitable(members) == {staff.id for staff in members}


def test_an_invitation_is_mailed(
    real_client: testing.TestClient, mail_server: MailServer, alma: University
) -> None:
    """The mail proves the address, so the account's password stays when others add the person."""
    register_renderers()
    admin = sign_in_staff(real_client, alma.id, "anna@example.edu")
    fields = {"email": BEN, "name": "Ben", "role": "editor"}
    answer = admin.send("/dashboard/settings/staff", fields)
    assert answer.headers["location"] == "/dashboard/settings/staff?done=mailed"
    assert "token=" not in str(list(get_db().mails.find()))
    assert send_due_mails(lambda: False) == 1
    [received] = mail_server.received
    assert received.recipients == [BEN]
    assert str(received.message["Subject"]) == "Invitation to Alma University"
    assert "Your role: Editor." in received.text
    found = re.search(r"token=([\w-]{43})", received.text)
    assert found
    at = f"/dashboard/settings/staff/{Staff.named(BEN).id}/link"
    admin.get("/dashboard/settings/staff")
    again = admin.send(at)  # only Ben sees the link
    assert again.headers["location"] == "/dashboard/settings/staff?done=mailed"
    ben = follow(real_client, found[1])
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    other = create_university("Other University", alma.api)
    invite(other)
    assert sign_in_by_password(BEN, STAFF_PASSWORD)


def test_a_mail_to_a_person_of_other_organizations_opens_only_the_new_one(
    real_client: testing.TestClient, mail_server: MailServer, alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    member = Staff.add(ObjectId(bolt.id), "Ben", "BEN@example.edu", "viewer")
    browser = follow(real_client, make_mailed_link(member))
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.status_code == 404


def test_a_mailed_invitation_does_not_replace_single_sign_on(
    real_client: testing.TestClient, alma: University
) -> None:
    invited = Staff.add(ObjectId(alma.id), "Ben", BEN, "viewer")
    secret = make_mailed_link(invited)
    Organization.objects(id=invited.organization_id).update_one(set__requires_single_sign_on=True)
    browser = Browser(real_client)
    browser.get(LINK, query_string=f"token={secret}")
    assert browser.send(LINK, {"token": secret}).status_code == 303
    assert browser.get("/dashboard").headers["location"].startswith("/dashboard/sign-in")


def test_a_mail_that_waits_is_dropped_once_the_person_signs_in(
    real_client: testing.TestClient, mail_server: MailServer, alma: University
) -> None:
    register_renderers()
    member = Staff.add(ObjectId(alma.id), "Ben", BEN, "viewer")
    assert send_invitation(member) is None
    follow(real_client, SignInLink.make_invitation(member))
    send_due_mails(lambda: False)
    assert mail_server.received == []
