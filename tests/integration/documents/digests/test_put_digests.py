"""Each digest is put once for each period, whatever is killed, and only the last one is put."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.digests.choice import DigestChoice
from documents.digests.rules import DigestFrequency
from documents.fundraiser import Fundraiser
from documents.mail.mail import Mail
from documents.organization import Organization
from documents.removal import remove_record
from documents.reports import put_digests
from documents.reports.digest_figures import build_digest_figures
from documents.reports.put_digests import put_due_digests
from jobs.periodic import digests
from tools.testbed.cast import Api, University, create_university
from tools.testbed.pages import add_staff
from tools.testbed.settled import settle_all

NEW_YORK = ZoneInfo("America/New_York")
SEVEN = datetime(2026, 11, 28, 7, tzinfo=NEW_YORK)  # a Saturday
DAY = timedelta(days=1)


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[University]:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:25")
    get_settings.cache_clear()
    alice = create_university("Alice's University", Api.in_process(real_client))
    Organization.objects(id=alice.id).update(set__time_zone=NEW_YORK.key)
    yield alice
    get_settings.cache_clear()


def choose(
    alice: University, spring: str, frequency: DigestFrequency = "daily", name: str = "alice"
) -> Staff:
    """Let a staff member choose a digest, as if it was before the tests' days."""
    email = f"{name}@{alice.id}.example.edu"
    staff = Staff.known(email) or add_staff(alice.id, email, "viewer")
    fundraiser = Fundraiser.fetch(ObjectId(alice.id), spring)
    DigestChoice.choose(staff.id, fundraiser, frequency, NEW_YORK)
    DigestChoice.objects(staff_id=staff.id).update(
        set__next_due_at=SEVEN, set__changes_since=SEVEN - DAY
    )
    return staff


def give(alice: University, spring: str, day: int = 27, **more: Any) -> str:
    gift = alice.gift(spring, donated_at=f"2026-11-{day}T20:00:00Z", **more)
    settle_all()
    return gift


def list_keys() -> list[str]:
    return [one.key.split(":")[-1] for one in Mail.objects.order_by("created_at", "key")]


def test_a_day_is_put_once_at_seven(alice: University) -> None:
    spring = alice.fundraiser()
    staff = choose(alice, spring)
    give(alice, spring)
    assert not put_due_digests(SEVEN - timedelta(milliseconds=1))
    assert put_due_digests(SEVEN)
    assert not put_due_digests(SEVEN)
    assert not put_due_digests(SEVEN + DAY - timedelta(milliseconds=1))
    (mail,) = Mail.objects
    assert mail.key == f"digest:{staff.id}:{spring}:2026-11-27"
    assert (mail.staff_id, mail.kind, mail.state) == (staff.id, "digest", "waiting")
    assert mail.params["total"] == {"count": 1, "raised": {"USD": 2500}}
    assert str(mail.params).count("@") == 0


def test_a_week_is_put_on_monday_also_when_it_is_empty(alice: University) -> None:
    choose(alice, alice.fundraiser(), "weekly")
    monday = SEVEN + 2 * DAY
    put_due_digests(SEVEN)
    assert list_keys() == ["2026-W47"]
    put_due_digests(monday)
    assert list_keys() == ["2026-W47", "2026-W48"]


def test_a_day_on_which_nothing_happened_has_no_mail(alice: University) -> None:
    spring = alice.fundraiser()
    choose(alice, spring)
    assert put_due_digests(SEVEN)
    assert Mail.objects.count() == 0
    give(alice, spring, 28)
    put_due_digests(SEVEN + DAY)
    assert list_keys() == ["2026-11-28"]


@pytest.mark.parametrize(
    "begin", [datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC)]
)
def test_each_day_around_a_change_of_clocks_is_put_once(
    alice: University, monkeypatch: pytest.MonkeyPatch, begin: datetime
) -> None:
    """Workers look every hour. Each digest is sent, even if it is empty."""
    monkeypatch.setattr(put_digests, "is_worth_sending", bool)
    choose(alice, alice.fundraiser())
    DigestChoice.objects.update(set__next_due_at=begin)
    for hours in range(7 * 24):
        put_due_digests(begin + timedelta(hours=hours))
    days = [(begin + n * DAY).date().isoformat() for n in range(-2, 6)]
    assert sorted(list_keys()) == days


def test_after_an_outage_only_the_last_period_is_put(alice: University) -> None:
    spring = alice.fundraiser()
    choose(alice, spring)
    for day in (20, 25, 27, 28, 29):
        give(alice, spring, day)
    put_due_digests(SEVEN + 2 * DAY + timedelta(hours=3))
    assert list_keys() == ["2026-11-29"]
    (choice,) = DigestChoice.objects
    assert choice.next_due_at == SEVEN + 3 * DAY


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("is_put", [False, True], ids=["before the mail", "after the mail"])
def test_a_killed_worker_repeats_and_loses_nothing(
    alice: University, monkeypatch: pytest.MonkeyPatch, is_put: bool
) -> None:
    spring = alice.fundraiser()
    choose(alice, spring)
    gift = give(alice, spring)

    def die(*_: Any, **__: Any) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        if is_put:
            patched.setattr(DigestChoice, "advance", die)
        else:
            patched.setattr(Mail, "put", die)
        with pytest.raises(Killed):
            put_due_digests(SEVEN)
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    settle_all()
    assert put_due_digests(SEVEN + timedelta(minutes=5))
    give(alice, spring, 28)
    put_due_digests(SEVEN + DAY)
    mails = list(Mail.objects.order_by("key"))
    assert [one.key[-10:] for one in mails] == ["2026-11-27", "2026-11-28"]
    # One of both digests reports the refund, which happened between them or before the first.
    refunds = [one.params["changes"]["refunded"] for one in mails]
    assert refunds == ([{}, {"USD": 500}] if is_put else [{"USD": 500}, {}])
    assert mails[0].params["changes"]["until"] == mails[1].params["changes"]["since"]


def test_two_workers_at_once_put_one_mail(alice: University) -> None:
    spring = alice.fundraiser()
    names = [f"staff{n}" for n in range(5)]
    for name in names:
        choose(alice, spring, name=name)
    give(alice, spring)
    threads = [threading.Thread(target=put_due_digests, args=(SEVEN,)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Mail.objects.count() == len(names)
    assert {one.next_due_at for one in DigestChoice.objects} == {SEVEN + DAY}


def test_staff_share_the_figures_of_a_period(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[ObjectId] = []

    def build(fundraiser: Fundraiser, *more: Any) -> Any:
        built.append(fundraiser.id)
        return build_digest_figures(fundraiser, *more)

    monkeypatch.setattr(put_digests, "build_digest_figures", build)
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    for name in ("alice", "anna", "albert"):
        choose(alice, spring, name=name)
    choose(alice, autumn, name="alice")
    put_due_digests(SEVEN)
    assert sorted(built) == [ObjectId(spring), ObjectId(autumn)]


def test_a_change_between_digests_is_reported_once(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    gift = give(alice, spring)
    choose(alice, spring)
    settle_all()
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": email})
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 700})
    get_db().emails.update_one(
        {"_id": ObjectId(email)}, {"$set": {"bounced_at": SEVEN, "due": SEVEN}}
    )
    settle_all()
    get_db().past_matches.update_many({}, {"$set": {"replaced_at": SEVEN - timedelta(hours=2)}})
    for days in range(3):
        give(alice, spring, 27 + days)
        put_due_digests(SEVEN + days * DAY)
    changes = [one.params["changes"] for one in Mail.objects.order_by("key")]
    first = {"matched_again": 1, "refunded": {"USD": 700}, "bounced": 1, "unsubscribed": 0}
    none = {"matched_again": 0, "refunded": {}, "bounced": 0, "unsubscribed": 0}
    told = [{name: one[name] for name in none} for one in changes]
    assert told == [first, none, none]


def test_a_digest_ends_with_the_staff_member_and_with_the_fundraiser(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    remove_member(choose(alice, spring, name="anna"), may_be_last_admin=True)
    choose(alice, autumn)
    remove_record(Fundraiser.fetch(ObjectId(alice.id), autumn))
    put_due_digests(SEVEN)
    assert (DigestChoice.objects.count(), Mail.objects.count()) == (0, 0)


def test_a_bad_digest_does_not_block_others(
    alice: University, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    choose(alice, spring, "weekly")
    choose(alice, autumn, "weekly", name="anna")

    def fail(fundraiser: Fundraiser, *more: Any) -> Any:
        if str(fundraiser.id) == spring:
            raise ValueError
        return build_digest_figures(fundraiser, *more)

    with monkeypatch.context() as patched:
        patched.setattr(put_digests, "build_digest_figures", fail)
        assert put_due_digests(SEVEN)
        assert not put_due_digests(SEVEN + timedelta(minutes=9))
    assert "postponed" in caplog.text
    assert Mail.objects.count() == 1
    put_due_digests(SEVEN + timedelta(minutes=10))
    assert Mail.objects.count() == 2


def test_the_step_needs_a_mail_server(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(alice, alice.fundraiser(), "weekly")
    overdue = SEVEN - 300 * DAY
    DigestChoice.objects.update(set__next_due_at=overdue)
    with monkeypatch.context() as patched:
        patched.setenv("MATCHBACK_SMTP_URL", "")
        get_settings.cache_clear()
        assert not digests.step()
        assert DigestChoice.objects.get().next_due_at == overdue
    get_settings.cache_clear()
    assert digests.step()
    assert not digests.step()
    assert Mail.objects.count() == 1


def test_due_digests_are_found_by_an_index(alice: University) -> None:
    choose(alice, alice.fundraiser())
    query = DigestChoice.objects(next_due_at__lte=SEVEN).order_by("next_due_at")
    plan = query.explain()["queryPlanner"]["winningPlan"]
    assert "next_due_at_1" in str(plan)
    assert "SORT" not in str(plan)
