"""Anna forgot her password. A mail with a link lets her choose a new one."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.access.account import Account
from documents.access.audit import OpenAct
from documents.access.members import end_member_sessions, remove_member
from documents.access.password_sign_in import sign_in_by_password
from documents.access.reset_link import RESET_LINK_LIFETIME, PasswordResetLink
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.mail.delivery import send_due_mails
from documents.mail.mail import Mail
from documents.mail.password_mails import RESET_PERIOD_SECONDS, put_change_mail
from documents.organization import Organization
from documents.organizations.deletion_request import request_deletion
from service.mail.register import register_renderers
from tools.testbed.cast import University
from tools.testbed.mail_server import MailServer, run_mail_server
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text

ANNA = "anna@example.edu"
NEW_PASSWORD = "another horse battery"
ASK, LINK = "/dashboard/password", "/dashboard/password/new"


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    register_renderers()
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
        get_settings.cache_clear()
        yield server
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def anna(alma: University) -> Staff:
    return add_staff(alma.id, ANNA)


def join_last(place: University) -> Staff:
    """Let Anna join another university and sign in there last, so that mails name it."""
    invited = Staff.add(ObjectId(place.id), "Anna", ANNA, "viewer")
    invited.note_sign_in()
    return invited


def ask(browser: Browser, email: str = ANNA) -> testing.Result:
    browser.get(ASK)
    return browser.send(ASK, {"email": email})


def send() -> int:
    return send_due_mails(lambda: False)


def read_secrets(server: MailServer) -> list[str]:
    found = (re.search(r"token=([\w-]{43})", one.text) for one in server.received)
    return [one[1] for one in found if one]


def pass_time(by: timedelta) -> None:
    """Move mails and links into the past."""
    milliseconds = int(by.total_seconds() * 1000)
    for collection, names in {
        "mails": ("created_at", "next_attempt_at"),
        "password_reset_links": ("requested_at", "expires_at"),
    }.items():
        for name in names:
            moved = {name: {"$subtract": [f"${name}", milliseconds]}}
            get_db()[collection].update_many({name: {"$type": "date"}}, [{"$set": moved}])
    for row in list(get_db().mails.find()):  # the key names the period
        get_db().mails.delete_one({"_id": row["_id"]})
        get_db().mails.insert_one({**row, "_id": f"{row['_id']} before"})


def request_link(client: testing.TestClient, server: MailServer) -> str:
    ask(Browser(client))
    send()
    return read_secrets(server)[-1]


def choose(browser: Browser, secret: str, password: str = NEW_PASSWORD) -> testing.Result:
    browser.get(LINK, query_string=f"token={quote(secret)}")
    return browser.send(LINK, {"token": secret, "password": password})


def test_anna_gets_a_link_and_chooses_a_new_password(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    browser = Browser(real_client)
    assert 'href="/dashboard/password"' in browser.get("/dashboard/sign-in").text
    answer = ask(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ASK}?done=sent")
    assert "an email with a link is on its way" in extract_text(
        browser.get(ASK, query_string="done=sent")
    )
    assert send() == 1
    (mail,) = mail_server.received
    assert mail.recipients == [ANNA]
    assert mail.message["Subject"] == "Choose a new password for Matchback"
    (secret,) = read_secrets(mail_server)
    html = mail.message.get_body(("html",))
    assert html
    assert secret in html.get_content()
    answer = choose(browser, secret)
    assert answer.headers["location"] == "/dashboard/sign-in?done=password"
    assert (
        "matchback-session" not in answer.cookies or not answer.cookies["matchback-session"].value
    )
    assert Browser(real_client).sign_in(ANNA).status_code == 422
    assert Browser(real_client).sign_in(ANNA, NEW_PASSWORD).status_code == 303


def test_a_reset_ends_all_sessions_and_voids_all_links(
    real_client: testing.TestClient, anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")
    signed_in = Browser(real_client)
    signed_in.sign_in(ANNA)
    other_link = SignInLink.make(Staff.named(ANNA, anna.organization_id))
    secret = request_link(real_client, mail_server)
    assert choose(Browser(real_client), secret).status_code == 303
    assert signed_in.get("/dashboard").status_code == 303
    assert get_db().staff_sessions.count_documents({}) == 0
    assert SignInLink.known(other_link) is None
    assert choose(Browser(real_client), secret, "third horse battery lamp").status_code == 422
    assert sign_in_by_password(ANNA, NEW_PASSWORD)


def test_a_preview_of_the_link_does_not_use_it_up(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    for _ in range(3):
        assert Browser(real_client).get(LINK, query_string=f"token={secret}").status_code == 200
        assert real_client.simulate_head(LINK, query_string=f"token={secret}").status_code == 200
    assert choose(Browser(real_client), secret).status_code == 303


def test_a_rejected_password_does_not_use_the_link_up(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    browser, secret = Browser(real_client), request_link(real_client, mail_server)
    for password in ("short", "passwordpassword", ANNA):
        answer = choose(browser, secret, password)
        assert answer.status_code == 422
        assert "Choose a password of" in answer.text or "easy to guess" in answer.text
        assert password not in extract_text(answer)
    assert sign_in_by_password(ANNA, STAFF_PASSWORD)
    assert choose(browser, secret).status_code == 303


def test_a_later_link_voids_an_earlier_one(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    first = request_link(real_client, mail_server)
    pass_time(timedelta(seconds=RESET_PERIOD_SECONDS))
    second = request_link(real_client, mail_server)
    assert first != second
    assert choose(Browser(real_client), first).status_code == 422
    assert choose(Browser(real_client), second).status_code == 303


def test_a_mail_that_is_sent_again_has_a_link_that_works(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    """A receiver drops the second mail, because both have the same Message-ID."""
    first = request_link(real_client, mail_server)
    due = {"next_attempt_at": Mail.objects.get().created_at}
    get_db().mails.update_one({}, {"$set": due, "$unset": {"sent_at": ""}})
    assert send() == 1
    assert len({one.message["Message-ID"] for one in mail_server.received}) == 1
    assert choose(Browser(real_client), first).status_code == 303


def test_a_link_lasts_thirty_minutes(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    pass_time(RESET_LINK_LIFETIME - timedelta(minutes=1))
    assert Browser(real_client).get(LINK, query_string=f"token={secret}").status_code == 200
    pass_time(timedelta(minutes=1))
    answer = Browser(real_client).get(LINK, query_string=f"token={secret}")
    assert answer.status_code == 422
    assert "This link has expired" in answer.text


def test_a_mail_that_waited_for_thirty_minutes_is_not_sent(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    ask(Browser(real_client))
    pass_time(RESET_LINK_LIFETIME)
    assert send() == 1
    assert mail_server.received == []


def test_many_requests_send_one_mail(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    for number in range(4):
        browser = Browser(real_client)
        browser.get(ASK)
        elsewhere = {"REMOTE_ADDR": f"192.0.2.{number}"}
        browser.send(ASK, {"email": ANNA.upper()}, extras=elsewhere)
    send()
    assert len(mail_server.received) <= 2  # two if a period ended meanwhile


def test_requests_are_limited_by_address_and_by_client(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    browser = Browser(real_client)
    answers = [ask(browser) for _ in range(6)]
    assert [one.status_code for one in answers] == [303] * 5 + [429]
    more = [ask(browser, f"user{number}@example.edu") for number in range(6)]
    assert more[-1].status_code == 429


@pytest.mark.parametrize("email", ["nobody@example.edu", "", "\0", "{$gt: ''}", "x" * 300])
def test_nobody_gets_a_mail_and_nothing_stays(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer, email: str
) -> None:
    assert ask(Browser(real_client), email).status_code == 303
    assert Mail.objects.count() == 1
    send()
    assert mail_server.received == []
    assert Mail.objects.count() == 0


def test_a_removed_member_gets_no_mail_and_a_sent_link_is_void(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    remove_member(Staff.named(ANNA), may_be_last_admin=True)
    assert choose(Browser(real_client), secret).status_code == 422
    pass_time(timedelta(seconds=RESET_PERIOD_SECONDS))
    ask(Browser(real_client))
    send()
    assert len(mail_server.received) == 1


@pytest.mark.parametrize("act", ["removal", "removal and invitation", "deletion"])
def test_a_link_that_names_a_removed_membership_stays_for_the_others(
    real_client: testing.TestClient,
    anna: Staff,
    bolt: University,
    mail_server: MailServer,
    act: str,
) -> None:
    invited = join_last(bolt)
    secret = request_link(real_client, mail_server)
    link = PasswordResetLink.objects.get()
    assert link.staff_id == invited.id
    if act == "deletion":
        request_deletion(Organization.named(bolt.id))
    else:
        remove_member(invited, may_be_last_admin=True)
    if act == "removal and invitation":
        Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")
    link.reload()
    assert str(invited.id) not in str(link.to_mongo())
    assert (link.staff_id, link.organization_id) == (anna.id, anna.organization_id)
    assert choose(Browser(real_client), secret).status_code == 303
    assert sign_in_by_password(ANNA, NEW_PASSWORD, anna.organization_id) == anna


def test_a_removal_from_the_last_organization_that_can_use_the_link_deletes_it(
    real_client: testing.TestClient, anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    invited = join_last(bolt)
    secret = request_link(real_client, mail_server)
    end_member_sessions(anna)
    remove_member(invited, may_be_last_admin=True)
    assert PasswordResetLink.objects.count() == 0
    assert choose(Browser(real_client), secret).status_code == 422


def test_ending_the_sessions_voids_the_link(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    end_member_sessions(Staff.named(ANNA))
    assert choose(Browser(real_client), secret).status_code == 422


@pytest.mark.parametrize("act", ["end sessions", "require single sign-on", "limited password"])
def test_an_admin_of_one_organization_does_not_void_the_link_for_the_others(
    real_client: testing.TestClient,
    anna: Staff,
    bolt: University,
    mail_server: MailServer,
    act: str,
) -> None:
    invited = join_last(bolt)
    Account.objects(id=anna.account_id).update_one(unset__password=True)
    secret = request_link(real_client, mail_server)
    for _ in range(2):
        invited = Staff.named(ANNA, ObjectId(bolt.id))
        if act == "end sessions":
            end_member_sessions(invited)
        elif act == "require single sign-on":
            Organization.objects(id=bolt.id).update_one(set__requires_single_sign_on=True)
        else:
            invited.set_password(STAFF_PASSWORD, opens=[invited.id])
    assert choose(Browser(real_client), secret).status_code == 303
    alma = anna.organization_id
    changed = sign_in_by_password(ANNA, NEW_PASSWORD, alma)
    assert changed is not None
    assert changed.organization_id == alma
    assert choose(Browser(real_client), secret).status_code == 422


@pytest.mark.parametrize("act", ["end sessions", "limited password"])
def test_the_same_act_in_all_organizations_voids_the_link(
    real_client: testing.TestClient,
    anna: Staff,
    bolt: University,
    mail_server: MailServer,
    act: str,
) -> None:
    both = [anna, Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")]
    Account.objects(id=anna.account_id).update_one(unset__password=True)
    secret = request_link(real_client, mail_server)
    if act == "end sessions":
        for one in both:
            end_member_sessions(one)
    else:
        named = Staff.named(ANNA, anna.organization_id)
        named.set_password(STAFF_PASSWORD, opens=[one.id for one in both])
    assert choose(Browser(real_client), secret).status_code == 422
    assert sign_in_by_password(ANNA, NEW_PASSWORD) is None


def test_a_membership_that_began_after_the_link_cannot_use_it(
    real_client: testing.TestClient, anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")
    end_member_sessions(anna)
    assert choose(Browser(real_client), secret).status_code == 422


def test_a_link_of_an_earlier_build_works_until_the_sessions_end(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    get_db().password_reset_links.update_many({}, {"$unset": {"epochs": ""}})
    assert Browser(real_client).get(LINK, query_string=f"token={secret}").status_code == 200
    end_member_sessions(anna)
    assert choose(Browser(real_client), secret).status_code == 422


def test_an_organization_with_single_sign_on_resets_no_password(
    real_client: testing.TestClient, anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    alma = Organization.objects(id=anna.organization_id)
    alma.update_one(set__requires_single_sign_on=True)
    assert choose(Browser(real_client), secret).status_code == 422
    pass_time(timedelta(seconds=RESET_PERIOD_SECONDS))
    ask(Browser(real_client))
    send()
    assert len(mail_server.received) == 1
    Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")
    pass_time(timedelta(seconds=RESET_PERIOD_SECONDS))
    assert choose(Browser(real_client), request_link(real_client, mail_server)).status_code == 303
    answer = Browser(real_client).sign_in(ANNA, NEW_PASSWORD)
    assert answer.status_code == 303


def test_a_reset_opens_all_organizations(
    real_client: testing.TestClient, alma: University, bolt: University, mail_server: MailServer
) -> None:
    """The mail proves the address, unlike the invitation after which Bolt's admin chose."""
    for place in (bolt, alma):
        Staff.add(ObjectId(place.id), "Anna", ANNA, "viewer")
    invited = Staff.named(ANNA, ObjectId(bolt.id))
    invited.set_password(STAFF_PASSWORD, opens=[invited.id])
    assert choose(Browser(real_client), request_link(real_client, mail_server)).status_code == 303
    for place in (bolt, alma):
        assert sign_in_by_password(ANNA, NEW_PASSWORD, ObjectId(place.id)) == Staff.named(
            ANNA, ObjectId(place.id)
        )


def test_the_mail_goes_to_the_address_of_the_account(
    real_client: testing.TestClient, anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    """Under an earlier version, Bolt's admin spelled Anna's address like another mailbox."""
    spelled = "\uff41nna@example.edu"
    invited = Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")
    Staff.objects(id=invited.id).update_one(set__email=spelled)
    invited.note_sign_in()
    ask(Browser(real_client), spelled)
    send()
    assert [one.recipients for one in mail_server.received] == [[ANNA]]


def test_the_spelling_of_an_invitation_does_not_choose_the_mailbox(
    real_client: testing.TestClient, alma: University, mail_server: MailServer
) -> None:
    Staff.add(ObjectId(alma.id), "Ben", "BEN@example.edu", "viewer")
    ask(Browser(real_client), "Ben@example.edu")
    send()
    assert [one.recipients for one in mail_server.received] == [["ben@example.edu"]]


def test_the_owner_gets_a_mail_about_the_change(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    choose(Browser(real_client), request_link(real_client, mail_server))
    send()
    assert mail_server.received[-1].message["Subject"] == "Your password for Matchback was changed"
    browser = Browser(real_client)
    browser.sign_in(ANNA, NEW_PASSWORD)
    browser.get("/dashboard/account")
    browser.send("/dashboard/account", {"current": NEW_PASSWORD, "password": STAFF_PASSWORD})
    send()
    assert len(mail_server.received) == 3
    assert "If you did not change it" in mail_server.received[-1].text


def test_each_change_of_a_limited_password_sends_a_mail(
    anna: Staff, bolt: University, mail_server: MailServer
) -> None:
    """Such a change leaves the epoch of the account as it is."""
    both = [anna, Staff.add(ObjectId(bolt.id), "Anna", ANNA, "viewer")]
    Account.objects(id=anna.account_id).update_one(unset__password=True)
    for place in (anna.organization_id, ObjectId(bolt.id), ObjectId(bolt.id)):
        opens = [one.id for one in both]
        put_change_mail(Staff.named(ANNA, place).set_password(NEW_PASSWORD, opens=opens))
    send()
    assert len(mail_server.received) == 3


def test_a_german_organization_writes_german_mails(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    Organization.objects(id=anna.organization_id).update_one(set__locale="de-DE")
    request_link(real_client, mail_server)
    (mail,) = mail_server.received
    assert mail.message["Subject"] == "Neues Passwort für Matchback wählen"
    assert "Der Link gilt einmal" in mail.text


def test_the_secret_is_in_the_mail_only(
    real_client: testing.TestClient,
    anna: Staff,
    mail_server: MailServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    secret = request_link(real_client, mail_server)
    answer = Browser(real_client).get(LINK, query_string=f"token={secret}")
    assert answer.headers["referrer-policy"] == "no-referrer"
    answer = choose(Browser(real_client), secret)
    assert secret not in answer.headers["location"]
    stored = [row for name in get_db().list_collection_names() for row in get_db()[name].find()]
    assert stored
    assert secret not in str(stored)
    assert secret not in caplog.text
    act = OpenAct.objects(action=f"POST {LINK}").get()
    assert act.actor == f"staff:{anna.id}"
    assert secret not in str(act.to_mongo())


def test_a_reset_link_signs_nobody_in(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    """Otherwise it would open an organization that requires single sign-on."""
    secret = request_link(real_client, mail_server)
    answer = Browser(real_client).get("/dashboard/sign-in/link", query_string=f"token={secret}")
    assert answer.status_code == 422
    sign_in_link = SignInLink.make(Staff.named(ANNA))
    assert PasswordResetLink.known(sign_in_link) is None


def test_password_fields_are_masked_and_open_to_password_managers(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    browser = Browser(real_client)
    pages = [browser.get("/dashboard/sign-in"), browser.get(LINK, query_string=f"token={secret}")]
    browser.sign_in(ANNA)
    pages.append(browser.get("/dashboard/account"))
    fields = [
        found
        for page in pages
        for found in re.findall(r'<input name="(?:password|current)"[^>]*>', page.text)
    ]
    assert len(fields) == 4
    for one in fields:
        assert 'type="password"' in one
        assert re.search(r'autocomplete="(current|new)-password"', one)
        assert "onpaste" not in one


@pytest.mark.parametrize("secret", ["", "x", "é", "a" * 43, "a" * 200])
def test_an_unknown_link_changes_nothing(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer, secret: str
) -> None:
    assert choose(Browser(real_client), secret).status_code == 422
    assert sign_in_by_password(ANNA, STAFF_PASSWORD)


def test_a_form_of_another_site_changes_nothing(
    real_client: testing.TestClient, anna: Staff, mail_server: MailServer
) -> None:
    secret = request_link(real_client, mail_server)
    browser = Browser(real_client)
    assert browser.send(ASK, {"email": ANNA}).status_code == 403
    assert browser.send(LINK, {"token": secret, "password": NEW_PASSWORD}).status_code == 403


def test_without_a_mail_server_the_page_names_whom_to_ask(
    real_client: testing.TestClient, anna: Staff
) -> None:
    browser = Browser(real_client)
    text = extract_text(browser.get(ASK))
    assert "Ask your Matchback operator for a sign-in link" in text
    browser.get("/dashboard/sign-in")
    browser.send(ASK, {"email": ANNA})
    assert Mail.objects.count() == 0
