"""Admins receive one mail when a problem begins, and none while it lasts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.mail.delivery import send_due_mails
from documents.mail.mail import Mail
from documents.notices import problems, watch
from documents.notices.incident import Incident, Problem
from documents.notices.rules import MAX_NOTICES_PER_PERIOD
from documents.notices.watch import watch_problems
from documents.organization import Organization
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.recount.background import SteadyRecount
from documents.settling.failed_job import FAILED_FILTER
from documents.webhook_rejections import rejection_notes
from jobs.periodic import notices
from service.mail.register import register_renderers
from tools.testbed.cast import Api, University, create_university
from tools.testbed.mail_server import MailServer

HOUR = timedelta(hours=1)
HOSTILE_NAME = "Evil\u202e\u2028 " + "ж" * 150
AlterClock = Callable[[timedelta], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> AlterClock:
    """Let a function move the clock of notices forward."""
    offset = timedelta(0)

    def read() -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + offset

    def alter(by: timedelta) -> None:
        nonlocal offset
        offset += by

    monkeypatch.setattr(watch, "now", read)
    register_renderers()
    return alter


@pytest.fixture
def alice(mail_server: MailServer, real_client: testing.TestClient) -> University:
    university = create_university("Alice's University", Api.in_process(real_client))
    Staff.add(ObjectId(university.id), "Alice", "alice@example.edu", "admin")
    return university


@pytest.fixture
def gift(alice: University) -> str:
    return alice.gift(alice.fundraiser())


def read_clock() -> datetime:
    at: datetime = vars(watch)["now"]()
    return at


def fail_job(gift: str) -> None:
    trouble = {"tries": 5, "error": "KeyError", "failed_at": datetime.now(UTC)}
    update = {"$set": {"trouble": trouble}, "$unset": {"due": ""}}
    get_db().donations.update_one({"_id": ObjectId(gift)}, update)


def solve_job(gift: str) -> None:
    get_db().donations.update_one({"_id": ObjectId(gift)}, {"$unset": {"trouble": ""}})


def send() -> None:
    watch_problems()
    send_due_mails(lambda: False)


def test_a_failed_job_is_one_mail(gift: str, later: AlterClock, mail_server: MailServer) -> None:
    send()
    assert mail_server.received == []
    fail_job(gift)
    for _ in range(3):
        send()
        later(HOUR)
    (mail,) = mail_server.received
    assert mail.recipients == ["alice@example.edu"]
    assert mail.message["Subject"] == "Failed jobs – Alice's University"
    assert "1 job has failed after several attempts." in mail.text
    assert "See the failed jobs: http://127.0.0.1:8000/dashboard/health" in mail.text
    assert "(UTC)" in mail.text
    html: Any = mail.message.get_body(("html",))
    assert "1 job has failed" in html.get_content()


def test_one_reminder_follows(gift: str, later: AlterClock, mail_server: MailServer) -> None:
    fail_job(gift)
    for _ in range(80):
        send()
        later(HOUR)
    assert mail_server.list_subjects() == [
        "Failed jobs – Alice's University",
        "Reminder: Failed jobs – Alice's University",
    ]


def test_a_flapping_problem_is_at_most_one_mail_an_hour(
    gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    for _ in range(12):
        fail_job(gift)
        send()
        later(timedelta(minutes=5))
        solve_job(gift)
        send()
        later(timedelta(minutes=5))
    assert len(mail_server.received) == 2
    (incident,) = Incident.objects
    assert not incident.is_open
    times = incident.noticed_at
    assert all(second - first >= HOUR for first, second in pairwise(times))


def test_a_notice_of_an_ended_problem_is_not_sent(
    gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    fail_job(gift)
    watch_problems()
    solve_job(gift)
    send()
    assert mail_server.received == []
    (mail,) = Mail.objects
    assert mail.state == "dropped"


def test_only_admins_receive_notices(
    alice: University, gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    owner = ObjectId(alice.id)
    Staff.add(owner, "Viewer", "viewer@example.edu", "viewer")
    removed = Staff.add(owner, "Removed", "removed@example.edu", "admin")
    remove_member(removed, may_be_last_admin=True)
    Staff.add(owner, "Second", "second@example.edu", "admin")
    other = Organization.create("Charlie's University")
    Staff.add(other.id, "Charlie", "charlie@example.edu", "admin")
    fail_job(gift)
    send()
    recipients = sorted(one.recipients[0] for one in mail_server.received)
    assert recipients == ["alice@example.edu", "second@example.edu"]


@pytest.mark.parametrize("place", ["open", "put", "note_notice"])
def test_a_killed_worker_causes_no_second_mail(
    gift: str,
    later: AlterClock,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """The worker dies after its write, before it can continue."""

    class Killed(BaseException):
        pass

    fail_job(gift)
    owner: Any = Mail if place == "put" else Incident
    original = getattr(owner, place)

    def write_and_die(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, write_and_die)
        with pytest.raises(Killed):
            watch_problems()
    for _ in range(3):
        send()
        later(timedelta(minutes=1))
    assert len(mail_server.received) == 1


def test_two_workers_open_an_incident_once(
    gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    fail_job(gift)
    (problem,) = problems.list_problems(read_clock())
    Incident.open(problem, read_clock())
    (first,) = Incident.list_open()
    later(HOUR)
    Incident.open(problem, read_clock())
    (second,) = Incident.list_open()
    assert first.opened_at == second.opened_at
    watch._notify(first, read_clock())
    watch._notify(second, read_clock())
    send()
    assert len(mail_server.received) == 1


def test_an_organization_receives_a_limited_number_of_mails_a_day(
    alice: University, later: AlterClock, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Problem(ObjectId(alice.id), "rejected_requests", f"p{number}", datetime.now(UTC))
        for number in range(MAX_NOTICES_PER_PERIOD + 5)
    ]
    monkeypatch.setattr(watch, "list_problems", lambda at: found)
    assert watch_problems() == MAX_NOTICES_PER_PERIOD
    later(2 * HOUR)
    found.append(Problem(ObjectId(alice.id), "failed_jobs", "", datetime.now(UTC)))
    assert watch_problems() == 1
    later(23 * HOUR)
    assert watch_problems() == MAX_NOTICES_PER_PERIOD
    assert Mail.objects.count() == 2 * MAX_NOTICES_PER_PERIOD + 1


def test_without_a_mail_server_nothing_is_stored(
    gift: str, later: AlterClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_job(gift)
    monkeypatch.delenv("MATCHBACK_SMTP_URL")
    get_settings.cache_clear()
    assert not notices.step()
    assert get_db().incidents.count_documents({}) == get_db().mails.count_documents({}) == 0


def test_the_periodic_job_stores_notices(gift: str, later: AlterClock) -> None:
    fail_job(gift)
    assert notices.step()
    assert not notices.step()
    assert Mail.objects.count() == 1


def test_notices_use_the_language_and_time_zone_of_the_organization(
    alice: University, gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    organization = Organization.objects.get(id=alice.id)
    organization.amend({"locale": "de-DE", "time_zone": "America/New_York"})
    fail_job(gift)
    failed_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    get_db().donations.update_one({}, {"$set": {"trouble.failed_at": failed_at}})
    send()
    (mail,) = mail_server.received
    assert mail.message["Subject"] == "Fehlgeschlagene Aufgaben – Alice's University"
    assert "nach mehreren Versuchen fehlgeschlagen." in mail.text
    assert "Seit: 01.01.2026, 22:04 (America/New_York)" in mail.text


def test_a_hostile_name_changes_no_header(
    alice: University, gift: str, later: AlterClock, mail_server: MailServer
) -> None:
    name = HOSTILE_NAME + "\r\nBcc: eve@example.com"
    get_db().organizations.update_one({"_id": ObjectId(alice.id)}, {"$set": {"name": name}})
    fail_job(gift)
    send()
    (mail,) = mail_server.received
    assert mail.recipients == ["alice@example.edu"]
    assert mail.message["Bcc"] is None
    subject = str(mail.message["Subject"])
    assert len(subject) <= 150
    assert "\u202e" not in subject
    assert subject.startswith("Failed jobs – Evil ж")


class TestProblems:
    """Each kind of problem begins and ends."""

    def test_incorrect_counters(
        self, alice: University, later: AlterClock, mail_server: MailServer
    ) -> None:
        fundraiser = alice.fundraiser()
        get_db().fundraisers.update_one({"_id": ObjectId(fundraiser)}, {"$set": {"mails": 0}})
        get_db().fundraisers.update_one(
            {"_id": ObjectId(fundraiser)}, {"$set": {"donations_count": 7}}
        )
        self.finish_round()
        send()
        (mail,) = mail_server.received
        assert mail.message["Subject"] == "Incorrect figures – Alice's University"
        assert "1 figure differs" in mail.text
        get_db().fundraisers.update_one(
            {"_id": ObjectId(fundraiser)}, {"$set": {"donations_count": 0}}
        )
        self.finish_round()
        send()
        assert Incident.list_open() == []

    def finish_round(self) -> None:
        before = SteadyRecount.current().last_finished_at
        while SteadyRecount.current().last_finished_at == before:
            SteadyRecount.current().step()

    def test_a_disabled_endpoint(
        self,
        alice: University,
        later: AlterClock,
        mail_server: MailServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url = "https://crm.example.edu/hook?token=secret"
        endpoint, _ = WebhookEndpoint.add(ObjectId(alice.id), url)
        endpoint = endpoint.amend(enabled=False)
        send()
        assert mail_server.received == []
        endpoint = endpoint.change(lambda one: one._switch("failing"))
        send()
        (mail,) = mail_server.received
        assert mail.message["Subject"] == "Webhook endpoint disabled – Alice's University"
        assert "the endpoint at crm.example.edu after three days" in mail.text
        assert f"/dashboard/settings/webhook-endpoints/{endpoint.id}" in mail.text
        assert b"secret" not in mail.content
        endpoint.amend(enabled=True)
        send()
        assert Incident.list_open() == []

    def test_rejected_requests(
        self, alice: University, later: AlterClock, mail_server: MailServer
    ) -> None:
        alice.set_webhook_key()
        path = f"/v1/webhooks/sendgrid/{alice.id}"
        assert alice.api.call("POST", path, body=b"[]").status == 401
        rejection_notes.flush()
        send()
        (mail,) = mail_server.received
        assert mail.message["Subject"] == "Rejected requests from SendGrid – Alice's University"
        assert "1 request from SendGrid. Their signature or password is missing" in mail.text
        assert "/dashboard/settings/providers/sendgrid" in mail.text
        assert alice.deliver([]).status == 202
        send()
        assert len(Incident.list_open()) == 1  # both may continue
        later(timedelta(minutes=11))
        send()
        assert Incident.list_open() == []

    def test_rejected_requests_end_without_further_ones(
        self, alice: University, later: AlterClock, mail_server: MailServer
    ) -> None:
        alice.api.call("POST", f"/v1/webhooks/sendgrid/{alice.id}", body=b"[]")
        rejection_notes.flush()
        send()
        later(7 * HOUR)
        send()
        assert (len(mail_server.received), Incident.list_open()) == (1, [])

    def test_a_payment_without_a_fundraiser(
        self, alice: University, later: AlterClock, mail_server: MailServer
    ) -> None:
        self.add_payment(alice, "no_fundraiser", minutes=5)
        self.add_payment(alice, "not_paid", minutes=50)
        send()
        assert mail_server.received == []
        self.add_payment(alice, "unknown_fundraiser", minutes=20)
        send()
        (mail,) = mail_server.received
        assert mail.message["Subject"] == "Payments without a fundraiser – Alice's University"
        assert "2 payments name no known fundraiser" in mail.text
        get_db().payments.update_many({}, {"$unset": {"reason": ""}})
        send()
        assert Incident.list_open() == []

    def add_payment(self, university: University, reason: str, *, minutes: int) -> None:
        time = datetime.now(UTC) - timedelta(minutes=minutes)
        row = {
            "_id": f"{university.id}:stripe:{reason}",
            "organization_id": ObjectId(university.id),
            "public_id": ObjectId.from_datetime(time),
            "reason": reason,
        }
        get_db().payments.insert_one(row)


class TestCost:
    """The cost follows the number of organizations that have a problem."""

    def test_a_search_for_payments_jumps_to_the_next_organization(self, real_database: str) -> None:
        get_db().payments.insert_many(
            {
                "_id": f"{owner}:{number}",
                "organization_id": ObjectId(f"{owner:024x}"),
                "public_id": ObjectId(),
                "reason": "no_fundraiser",
            }
            for owner in range(3)
            for number in range(200)
        )
        command = {
            "aggregate": "payments",
            "pipeline": problems.build_first_payment_stages("no_fundraiser"),
            "cursor": {},
            "hint": problems.REASON_INDEX,
        }
        plan = get_db().command("explain", command, verbosity="executionStats")
        assert "DISTINCT_SCAN" in str(plan)
        keys = [int(one) for one in re.findall(r"'totalKeysExamined': (\d+)", str(plan))]
        assert max(keys) < 20

    def test_a_search_for_failed_jobs_reads_one_job_of_an_organization(
        self, real_database: str
    ) -> None:
        time = datetime.now(UTC).replace(microsecond=0)
        owners = [ObjectId(f"{owner:024x}") for owner in range(3)]
        get_db().donations.insert_many(
            {"organization_id": owner, "trouble": {"failed_at": time + timedelta(seconds=number)}}
            for owner in owners
            for number in range(200)
        )
        assert list(problems._find_first_failures("donations")) == [(one, time) for one in owners]
        order = [("organization_id", 1), ("trouble.failed_at", 1)]
        query = {"organization_id": {"$gt": owners[0]}, **FAILED_FILTER}
        cursor = get_db().donations.find(query).sort(order).hint("failed").limit(1)
        assert cursor.explain()["executionStats"]["totalDocsExamined"] == 1
