"""The sender's process sends mails, and a killed one loses none."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from mongoengine import get_db

from config.settings import get_settings
from documents.access.staff import Staff
from documents.mail.mail import CLAIM_SECONDS, Mail
from documents.notices.watch import watch_problems
from documents.organization import Organization
from documents.values.time import now
from service.local.command import build_sender_command
from service.local.supervisor import Part, Supervisor
from tools.testbed.mail_server import MailServer, run_mail_server
from tools.testbed.stack import wait_until

ADMINS = 8
KILLED_AT = (3, 6)  # numbers of accepted mails


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        get_settings.cache_clear()
        yield server


@pytest.fixture
def sender(mail_server: MailServer, tmp_path: Path) -> Iterator[Part]:
    """Return a running sender, which its supervisor restarts."""
    supervisor = Supervisor(say=lambda text: None)
    part = Part("sender", build_sender_command(), tmp_path / "sender.log")
    supervisor.start(part)
    yield part
    supervisor.stop()


def put_notices() -> None:
    organization = Organization.create("Alice's University")
    for number in range(ADMINS):
        Staff.add(organization.id, "Admin", f"admin{number}@example.edu", "admin")
    trouble = {"tries": 5, "error": "KeyError", "failed_at": now()}
    row = {"organization_id": organization.id, "trouble": trouble}
    get_db().donations.insert_one(row)
    watch_problems()
    assert Mail.objects.count() == ADMINS


def end_claims() -> None:
    earlier = now() - timedelta(seconds=1)
    claimed = {"next_attempt_at": {"$gt": now(), "$lt": now() + timedelta(seconds=CLAIM_SECONDS)}}
    get_db().mails.update_many(claimed, {"$set": {"next_attempt_at": earlier}})


def is_dead(part: Part) -> bool:
    assert part.process
    return part.process.poll() is not None


def test_a_killed_sender_sends_each_notice_once_or_again_with_the_same_id(
    mail_server: MailServer, sender: Part
) -> None:
    def kill() -> None:
        """Kill the sender before it learns that the server accepted the mail."""
        if len(mail_server.received) in KILLED_AT:
            assert sender.process
            os.killpg(sender.process.pid, signal.SIGKILL)

    mail_server.on_accept = kill
    put_notices()
    supervisor = Supervisor(say=lambda text: None)
    try:
        for _ in KILLED_AT:
            wait_until(lambda: is_dead(sender), "the kill")
            end_claims()
            supervisor.start(sender)
        wait_until(lambda: Mail.objects(sent_at__ne=None).count() == ADMINS, "all mails")
    finally:
        supervisor.stop()
    ids = [one.message["Message-ID"] for one in mail_server.received]
    recipients = {one.recipients[0] for one in mail_server.received}
    assert len(set(ids)) == len(recipients) == ADMINS
    assert len(ids) == ADMINS + len(KILLED_AT)
    assert {one.tries for one in Mail.objects} == {0}
