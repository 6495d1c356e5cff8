"""An admin invites a person. The link passes through the admin's hands, so it proves little."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.access.account import Account
from documents.access.members import invite_member
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.errors import Conflict
from documents.mail.delivery import send_due_mails
from documents.mail.invitation import make_mailed_link, put_invitation
from documents.organization import Organization
from service.mail.register import register_renderers
from tools.testbed.cast import Api, University, create_university
from tools.testbed.mail_server import MailServer, run_mail_server
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text, sign_in_staff

BEN = "ben@example.edu"
OTHER_PASSWORD = "another horse battery"
LINK = "/dashboard/sign-in/link"


@pytest.fixture
def alma(real_client: testing.TestClient) -> University:
    return create_university("Alma University", Api.in_process(real_client))


@pytest.fixture
def bolt(real_client: testing.TestClient) -> University:
    return create_university("Bolt University", Api.in_process(real_client))


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """Run a mail server, and set it in the settings."""
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
        get_settings.cache_clear()
        yield server


def follow(client: testing.TestClient, secret: str) -> Browser:
    browser = Browser(client)
    browser.get(LINK, query_string=f"token={secret}")
    assert browser.send(LINK, {"token": secret}).status_code == 303
    browser.get("/dashboard/account")
    return browser


def invite(place: University) -> str:
    return invite_member(ObjectId(place.id), "Ben", BEN, "viewer")[1]


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
    assert Staff.authenticate(BEN, STAFF_PASSWORD)


def test_an_invitation_does_not_set_the_password_of_other_organizations(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    Staff.add(ObjectId(alma.id), "Ben", BEN, "admin")  # has not chosen a password yet
    browser = follow(real_client, invite(bolt))
    answer = browser.send("/dashboard/account", {"password": OTHER_PASSWORD})
    assert answer.status_code == 409
    assert "ask your Matchback operator for a sign-in link" in extract_text(answer)
    assert Staff.authenticate(BEN, OTHER_PASSWORD) is None


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


@pytest.mark.parametrize("by", ["operator", "admin"])
def test_a_password_that_an_admin_may_know_opens_no_other_organization(
    real_client: testing.TestClient, alma: University, bolt: University, by: str
) -> None:
    """Bolt's admin invites Ben's address first, and chooses the password of the account."""
    hostile = follow(real_client, invite(bolt))
    hostile.send("/dashboard/account", {"password": OTHER_PASSWORD})
    if by == "operator":
        Staff.add(ObjectId(alma.id), "Ben", BEN, "admin")
    else:
        invite(alma)
    assert Staff.authenticate(BEN, OTHER_PASSWORD) is None
    assert hostile.get("/dashboard").status_code == 303
    again = SignInLink.make_invitation(Staff.named(BEN, ObjectId(bolt.id)))
    hostile = follow(real_client, again)
    assert hostile.send("/dashboard/account", {"password": OTHER_PASSWORD}).status_code == 409
    ben = follow(real_client, SignInLink.make(Staff.named(BEN, ObjectId(alma.id))))
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    assert Account.objects.get().is_proved


def test_joining_while_the_first_password_is_chosen_leaves_none(
    alma: University, bolt: University
) -> None:
    for number in range(10):
        email = f"ben{number}@example.edu"
        member, _ = invite_member(ObjectId(bolt.id), "Ben", email, "viewer")

        def choose(member: Staff = member) -> None:
            try:
                member.set_password(OTHER_PASSWORD, is_proved=False)
            except Conflict:
                return

        def join(email: str = email) -> None:
            Staff.add(ObjectId(alma.id), "Ben", email, "admin")

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(choose), pool.submit(join)]:
                done.result()
        assert Staff.authenticate(email, OTHER_PASSWORD) is None


def test_the_answer_is_the_same_whether_the_person_is_known(
    alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    answers = [
        invite_member(ObjectId(bolt.id), "Person", email, "viewer")
        for email in (BEN, "new@example.edu")
    ]
    shown = [
        {name: getattr(staff, name) for name in ("name", "role", "last_sign_in_at", "epoch")}
        for staff, _ in answers
    ]
    assert shown[0] == shown[1]
    assert len({len(secret) for _, secret in answers}) == 1


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
    ben = follow(real_client, found[1])
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    other = create_university("Other University", alma.api)
    invite(other)
    assert Staff.authenticate(BEN, STAFF_PASSWORD)


def test_a_mail_to_a_person_of_other_organizations_opens_only_the_new_one(
    real_client: testing.TestClient, mail_server: MailServer, alma: University, bolt: University
) -> None:
    add_staff(alma.id, BEN)
    member, _ = invite_member(ObjectId(bolt.id), "Ben", "BEN@example.edu", "viewer")
    browser = follow(real_client, make_mailed_link(member))
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.status_code == 404


def test_a_mailed_invitation_does_not_replace_single_sign_on(
    real_client: testing.TestClient, alma: University
) -> None:
    invited, _ = invite_member(ObjectId(alma.id), "Ben", BEN, "viewer")
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
    member, secret = invite_member(ObjectId(alma.id), "Ben", BEN, "viewer")
    assert put_invitation(member)
    follow(real_client, secret)
    send_due_mails(lambda: False)
    assert mail_server.received == []
