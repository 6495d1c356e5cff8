"""Mails of the outbox reach the server once, whatever the server or a kill does."""

from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from mongoengine import get_db

from config.settings import get_settings
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.mail import delivery, smtp
from documents.mail.delivery import MAX_MAIL_AGE, MAX_MAIL_TRIES, send_due_mails
from documents.mail.mail import CLAIM_SECONDS, Mail
from documents.mail.smtp_failures import MailServerUnavailable
from documents.values.time import now
from jobs.sender.mail import MailStep
from tests.integration.documents.mail.greetings import put_greeting
from tools.testbed.mail_server import MailServer, run_mail_server
from tools.testbed.tls import make_certificate


def send() -> int:
    return send_due_mails(lambda: False)


def fetch(key: str = "greeting:1") -> Mail:
    found: Mail = Mail.objects.get(key=key)
    return found


def pass_time(by: timedelta) -> None:
    """Move all mails into the past."""
    milliseconds = int(by.total_seconds() * 1000)
    moved = {name: {"$subtract": [f"${name}", milliseconds]} for name in ("next_attempt_at",)}
    get_db().mails.update_many({"next_attempt_at": {"$type": "date"}}, [{"$set": moved}])


def use_server(server: MailServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", url)
    get_settings.cache_clear()


def test_a_mail_is_stored_once_and_sent_once(alice: Staff, mail_server: MailServer) -> None:
    assert put_greeting(alice)
    assert not put_greeting(alice)
    assert send() == 1
    assert not put_greeting(alice)
    assert send() == 0
    (mail,) = mail_server.received
    assert (mail.sender, mail.recipients) == ("matchback@example.edu", ["alice@example.edu"])
    assert mail.message["Subject"] == "Hello Alice"
    assert mail.text == "From Alice's University\n.\nEnd\n"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert fetch().state == "sent"


def test_several_mails_share_one_session(alice: Staff, mail_server: MailServer) -> None:
    for number in range(5):
        put_greeting(alice, f"greeting:{number}")
    assert send() == 5
    assert len({one.message["Message-ID"] for one in mail_server.received}) == 5


def test_without_a_server_nothing_is_stored(alice: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATCHBACK_SMTP_URL")
    get_settings.cache_clear()
    assert not put_greeting(alice)
    assert get_db().mails.count_documents({}) == 0
    assert send() == 0


def test_the_address_is_read_when_the_mail_is_sent(alice: Staff, mail_server: MailServer) -> None:
    put_greeting(alice)
    alice.change(lambda staff: setattr(staff, "email", "alice@new.example.edu"))
    send()
    assert mail_server.received[0].recipients == ["alice@new.example.edu"]


def test_an_international_address_receives_mails(alice: Staff, mail_server: MailServer) -> None:
    alice.change(lambda staff: setattr(staff, "email", "jörg@münchen.example"))
    put_greeting(alice)
    send()
    (mail,) = mail_server.received
    assert mail.recipients == ["jörg@xn--mnchen-3ya.example"]
    assert fetch().state == "sent"


def test_removed_staff_receive_nothing(alice: Staff, mail_server: MailServer) -> None:
    put_greeting(alice)
    remove_member(alice, may_be_last_admin=True)
    assert send() == 1
    assert (mail_server.received, fetch().state) == ([], "dropped")


def test_a_mail_that_is_over_is_dropped(alice: Staff, mail_server: MailServer) -> None:
    put_greeting(alice, over=True)
    send()
    assert (mail_server.received, fetch().state) == ([], "dropped")


def test_a_bug_delays_only_its_own_mail(alice: Staff, mail_server: MailServer) -> None:
    put_greeting(alice, "greeting:bad", bug=True)
    put_greeting(alice, "greeting:good")
    send()
    assert fetch("greeting:good").state == "sent"
    bad = fetch("greeting:bad")
    assert (bad.state, bad.tries, bad.error) == ("waiting", 1, "KeyError")


def test_a_rejected_recipient_fails_at_once(alice: Staff, mail_server: MailServer) -> None:
    bob = Staff.add(alice.organization_id, "Bob", "bob@example.edu", "admin")
    mail_server.answers["bob@example.edu"] = "550 5.1.1 <bob@example.edu> is unknown"
    put_greeting(bob, "greeting:bob")
    put_greeting(alice, "greeting:alice")
    assert send() == 2
    assert [one.recipients for one in mail_server.received] == [["alice@example.edu"]]
    failed = fetch("greeting:bob")
    assert (failed.state, failed.error) == ("failed", "550 5.1.1 <…> is unknown")
    pass_time(timedelta(days=1))
    assert send() == 0


def test_a_temporary_answer_is_retried_with_growing_pauses(
    alice: Staff, mail_server: MailServer
) -> None:
    mail_server.answers["alice@example.edu"] = "451 Greylisted"
    put_greeting(alice)
    pauses = []
    for _ in range(5):
        assert send() == 1
        due = fetch().next_attempt_at
        pauses.append(round((due - now()).total_seconds() / 60))
        assert send() == 0
        pass_time(timedelta(hours=1))
    assert pauses == [1, 4, 16, 60, 60]
    mail_server.answers.clear()
    assert send() == 1
    assert (fetch().state, len(mail_server.received)) == ("sent", 1)


def test_retries_end(alice: Staff, mail_server: MailServer) -> None:
    mail_server.answer = "452 Full"
    put_greeting(alice)
    for _ in range(MAX_MAIL_TRIES):
        assert send() == 1
        pass_time(timedelta(hours=1))
    assert send() == 0
    assert (fetch().state, fetch().tries) == ("failed", MAX_MAIL_TRIES)


def test_an_old_mail_is_not_sent(alice: Staff, mail_server: MailServer) -> None:
    put_greeting(alice)
    created = now() - MAX_MAIL_AGE - timedelta(minutes=1)
    get_db().mails.update_one({}, {"$set": {"created_at": created}})
    send()
    assert (fetch().state, mail_server.received) == ("failed", [])


def test_an_outage_uses_up_no_attempt(
    alice: Staff, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_greeting(alice)
    use_server(mail_server, "smtp://127.0.0.1:1", monkeypatch)
    with pytest.raises(MailServerUnavailable):
        send()
    step = MailStep()
    assert not step.run()
    assert (fetch().state, fetch().tries) == ("waiting", 0)
    use_server(mail_server, mail_server.url, monkeypatch)
    assert not step.run()  # the pause of the outage
    assert MailStep().run()
    assert fetch().state == "sent"


def test_a_killed_process_repeats_its_mail_with_the_same_id(
    alice: Staff, mail_server: MailServer
) -> None:
    put_greeting(alice)
    claimed = Mail.claim_next(now())
    assert claimed is not None
    with delivery.open_session() as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mail, "mark_sent", lambda mail: None)  # killed here
        delivery.deliver(claimed, session)
    assert send() == 0  # the claim lasts
    pass_time(timedelta(seconds=CLAIM_SECONDS))
    assert send() == 1
    first, second = mail_server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
    claimed.mark_failed("late")  # the first process continues
    assert fetch().state == "sent"


def test_two_processes_do_not_send_the_same_mail(alice: Staff, mail_server: MailServer) -> None:
    for number in range(20):
        put_greeting(alice, f"greeting:{number}")
    threads = [Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mail_server.received) == 20
    assert len({one.message["Message-ID"] for one in mail_server.received}) == 20


def test_a_slow_server_ends_the_session(
    alice: Staff, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "STEP_SECONDS", 0.2)
    mail_server.delay_seconds = 0.6
    put_greeting(alice)
    assert send() == 1
    slow = fetch()
    assert (slow.state, slow.tries, slow.error) == ("waiting", 1, "no answer in time")


def test_a_session_has_a_time_limit(
    alice: Staff, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "SESSION_STEP_SECONDS", 0.2)
    mail_server.delay_seconds = 0.6
    put_greeting(alice)
    assert send() == 1
    assert (fetch().state, fetch().tries) == ("waiting", 1)


class TestEncryption:
    def test_a_login_needs_starttls(
        self, alice: Staff, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = mail_server.url.replace("smtp://", "smtp://alice:secret@")
        use_server(mail_server, url, monkeypatch)
        put_greeting(alice)
        with pytest.raises(MailServerUnavailable, match="offers no STARTTLS"):
            send()

    def test_a_login_follows_starttls(
        self, alice: Staff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        certificate = make_certificate(tmp_path)
        with run_mail_server(certificate=certificate, password="p@ss/word") as server:
            url = server.url.replace("smtp://", "smtp://alice:p%40ss%2Fword@")
            use_server(server, url, monkeypatch)
            put_greeting(alice)
            with pytest.raises(MailServerUnavailable, match="certificate is not valid"):
                send()
            assert server.logins == []
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            assert send() == 1
            assert (server.logins, server.was_encrypted) == ([("alice", "p@ss/word")], True)

    def test_a_wrong_password_is_an_outage(
        self, alice: Staff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        certificate = make_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with run_mail_server(certificate=certificate, password="right") as server:
            use_server(server, server.url.replace("smtp://", "smtp://alice:wrong@"), monkeypatch)
            put_greeting(alice)
            with pytest.raises(MailServerUnavailable, match="rejected the login") as caught:
                send()
        assert "wrong" not in str(caught.value)
        assert fetch().tries == 0

    def test_smtps_encrypts_from_the_start(
        self, alice: Staff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        certificate = make_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with run_mail_server(certificate=certificate, is_encrypted=True) as server:
            use_server(server, server.url.replace("smtp://", "smtps://"), monkeypatch)
            put_greeting(alice)
            assert send() == 1
            assert len(server.received) == 1

    def test_without_a_login_any_certificate_encrypts(
        self, alice: Staff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with run_mail_server(certificate=make_certificate(tmp_path)) as server:
            use_server(server, server.url, monkeypatch)
            put_greeting(alice)
            assert send() == 1
            assert server.was_encrypted
