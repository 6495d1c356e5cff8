"""Periodic work: judging clicks again, deleting old data, and tallying again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from documents.message import list_message_keys
from documents.privacy import retention
from documents.settling.policies import SettlingPolicy
from documents.tracking import relabelling
from documents.tracking.click_labels import relabel_stored_clicks
from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import MachineClickRule
from jobs.periodic import relabel as relabel_job
from jobs.periodic import retention as retention_job
from service.cli import main
from tests.rows import event_row
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://give.example.edu/"
SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def clicked(alice: University) -> tuple[str, str, str]:
    """Create a fundraiser, a mailing and an email with a person's click, a burst, and opens."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    alice.deliver(
        [
            make_event(email, "delivered", AT),
            make_event(email, "open", AT + 9),
            make_event(email, "open", AT + 8, sg_machine_open=True),
            make_event(email, "click", AT + 60, url=LINK),
            *(make_event(email, "click", AT + 300, url=LINK + n, sg_event_id=n) for n in "abc"),
        ]
    )
    settle_all()
    return spring, mailing, email


def everything(alice: University, spring: str, mailing: str, email: str) -> list[Any]:
    """Return all figures of the three records."""
    reports = [alice.get(f"/v1/mailings/{mailing}/report"), alice.report(spring)]
    for report in reports:
        del report["as_of"]
    links = alice.get(f"/v1/mailings/{mailing}/links?sort=-clicks")
    return [*reports, alice.get(f"/v1/emails/{email}"), links]


def test_a_changed_rule_relabels_stored_clicks(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, mailing, email = clicked(alice)
    before = everything(alice, spring, mailing, email)
    assert (before[2]["clicks"], before[2]["machine_clicks"]) == (1, 3)
    monkeypatch.setattr(relabelling, "EMAILS_PER_PAGE", 1)
    for rule, clicks in (
        (MachineClickRule(links=0), 4),
        (MachineClickRule(links=1), 0),
        (MachineClickRule(), 1),
    ):
        assert not Relabelling.is_done(rule)
        while Relabelling.continue_with(rule).step(rule):
            pass
        assert Relabelling.is_done(rule)
        settle_all()
        assert alice.report(spring)["emails"]["clicks"] == clicks
        found = alice.get(f"/v1/emails/{email}")
        assert (found["first_clicked_at"] is None) == (clicks == 0)
    assert everything(alice, spring, mailing, email) == before


def test_a_worker_relabels_after_a_rule_change(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, *_ = clicked(alice)
    while relabel_job.step():
        pass
    assert alice.report(spring)["emails"]["clicks"] == 1
    monkeypatch.setattr(
        relabel_job,
        "build_settling_policy",
        lambda: relabel_job_policy(MachineClickRule(agents=("nothing",), links=0)),
    )
    while relabel_job.step():
        pass
    settle_all()
    assert alice.report(spring)["emails"]["clicks"] == 4


def relabel_job_policy(rule: MachineClickRule) -> Any:
    return SettlingPolicy(clicks=rule)


def test_the_command_relabels_clicks(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    spring, *_ = clicked(alice)
    monkeypatch.setattr(
        "jobs.tasks.build_settling_policy", lambda: relabel_job_policy(MachineClickRule(links=0))
    )
    done = CliRunner().invoke(main, ["relabel"])
    assert (done.exit_code, done.stdout) == (0, "Clicks reclassified: 3\n")
    settle_all()
    assert alice.report(spring)["emails"]["clicks"] == 4


def test_deleting_old_events_and_deliveries_changes_no_figure(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = clicked(alice)
    before = everything(alice, *of)
    monkeypatch.setattr(retention, "DROPPED_RECORDS_PER_STEP", 2)
    while retention.drop_events(SOON):
        settle_all()
        assert everything(alice, *of) == before
    while retention.drop_deliveries(SOON):
        pass
    assert get_db().events.count_documents({}) == get_db().deliveries.count_documents({}) == 0
    spring, _, email = of
    alice.deliver(
        [make_event(email, "click", AT + 9000, url=LINK), make_event(email, "open", AT + 9001)]
    )
    settle_all()
    figures = alice.report(spring)["emails"]
    assert (figures["opens"], figures["machine_opens"], figures["clicks"]) == (2, 1, 2)
    assert alice.get(f"/v1/emails/{email}")["first_clicked_at"] == "2023-11-14T22:14:20Z"


def test_an_event_that_cannot_be_deleted_blocks_no_other(alice: University) -> None:
    spring, _, _email = clicked(alice)
    other = alice.email(spring)
    alice.deliver([make_event(other, "click", AT + number, url=LINK) for number in range(3)])
    settle_all()
    broken = ObjectId(other)
    get_db().archives.insert_one({"_id": broken, "clicks": "many"})
    while retention.drop_events(SOON):
        pass
    assert set(get_db().events.distinct("email_id")) == {broken}
    get_db().archives.delete_one({"_id": broken})
    retention._skipped.clear()
    while retention.drop_events(SOON):
        pass
    assert get_db().events.count_documents({}) == 0


def test_an_email_whose_clicks_cannot_be_judged_blocks_no_other(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, _, email = clicked(alice)
    broken = alice.email(spring)
    alice.deliver([make_event(broken, "click", AT + 60, url=LINK)])
    settle_all()

    def judge(tx: Any, emails: Any, rule: MachineClickRule) -> Any:
        if ObjectId(broken) in emails:
            raise TypeError
        return relabel_stored_clicks(tx, emails, rule)

    monkeypatch.setattr(relabelling, "relabel_stored_clicks", judge)
    state = Relabelling.continue_with(MachineClickRule(links=0))
    while state.step(MachineClickRule(links=0)):
        pass
    assert Relabelling.is_done(MachineClickRule(links=0))
    assert state.changed == 3
    assert alice.get(f"/v1/emails/{email}")["machine_clicks"] == 0


def test_recent_pending_and_failed_deliveries_are_kept(alice: University) -> None:
    clicked(alice)
    alice.deliver([])
    get_db().deliveries.update_many({}, {"$unset": {"due": ""}})
    waiting, failed, young = (alice_delivery(age) for age in (900, 900, 1))
    get_db().deliveries.update_one({"_id": waiting}, {"$set": {"due": SOON}})
    get_db().deliveries.update_one({"_id": failed}, {"$set": {"trouble": {"failed_at": SOON}}})
    old = alice_delivery(31)
    while retention_job.step():
        pass
    kept = {row["_id"] for row in get_db().deliveries.find({}, {"_id": 1})}
    assert {waiting, failed, young} <= kept
    assert old not in kept
    assert get_db().events.count_documents({}) == 7


def alice_delivery(days: int) -> ObjectId:
    """Create a delivery that arrived this many days ago."""
    id_ = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=days))
    id_ = ObjectId(id_.binary[:4] + ObjectId().binary[4:])
    row = {"_id": id_, "organization_id": ObjectId(), "provider": "sendgrid", "body": b"[]"}
    get_db().deliveries.insert_one({**row, "items": 0})
    return id_


def test_a_replay_changes_nothing_that_was_correct(alice: University) -> None:
    of = clicked(alice)
    _, _, email = of
    opened = make_event(email, "open", AT + 9)
    alice.deliver([opened, opened, 7, make_event(email, "open", AT + 70)])
    settle_all()
    before = everything(alice, *of)
    outcomes = list(get_db().deliveries.find({}, {"tallied_at": 0}))
    for options in ((), ("--organization", alice.id), ("--since", "2026-01-01T00:00:00Z")):
        done = CliRunner().invoke(main, ["replay", *options])
        assert (done.exit_code, done.stdout) == (0, "Deliveries to process again: 2\n")
        assert get_db().deliveries.count_documents({"due": {"$type": "date"}}) == 2
        settle_all()
        assert everything(alice, *of) == before
        assert list(get_db().deliveries.find({}, {"tallied_at": 0})) == outcomes


def test_a_replay_after_a_bug_fix_counts_rejected_events(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = alice.email(alice.fundraiser())
    with monkeypatch.context() as broken:
        broken.setattr("documents.providers.sendgrid.read_unix_time", refuse)
        alice.deliver([make_event(email, "open", AT)])
        settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0
    delivery = get_db().deliveries.find_one() or {}
    assert CliRunner().invoke(main, ["replay", "--delivery", str(delivery["_id"])]).exit_code == 0
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    delivery = get_db().deliveries.find_one() or {}
    assert (delivery["counted_events"], delivery["refused"]) == (1, [])


def refuse(value: Any) -> Any:
    raise ValueError("not understood yet")


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "--since", "yesterday"],
        ["replay", "--delivery", "x"],
        ["replay", "--organization", "x"],
    ],
)
def test_commands_report_errors(alice: University, arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code in (1, 2)
    assert "Error" in done.stderr


def test_messages_under_an_earlier_key_are_deleted_too(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    told = make_event(email, "open", AT, email="Ann\u200b@Example.edu")
    alice.deliver([told])
    settle_all()
    today, earlier = list_message_keys(
        event_row(
            organization_id=ObjectId(alice.id),
            address=told["email"],
            message_id=told["sg_message_id"],
        )
    )
    get_db().messages.insert_one({"_id": earlier, "email_id": ObjectId(email)})
    assert get_db().messages.count_documents({"_id": today}) == 1
    while retention.drop_events(SOON):
        pass
    assert get_db().messages.count_documents({}) == 0


def test_messages_are_deleted_with_their_emails_last_event(alice: University) -> None:
    spring, mailing, email = clicked(alice)
    other = alice.email(spring, mailing_id=mailing)
    alice.deliver([make_event(other, "open", AT + 20)])
    settle_all()
    before = everything(alice, spring, mailing, email)
    assert get_db().messages.count_documents({}) == 2
    # One event of the first email arrived too late for the deletion of the others.
    late = ObjectId.from_datetime(SOON + timedelta(days=1))
    one = {"email_id": ObjectId(email), "type": "open"}
    get_db().events.update_one(one, {"$set": {"delivery_id": late}})
    while retention.drop_events(SOON):
        pass
    assert [row["email_id"] for row in get_db().messages.find()] == [ObjectId(email)]
    while retention.drop_events(SOON + timedelta(days=2)):
        pass
    assert get_db().messages.count_documents({}) == 0
    assert everything(alice, spring, mailing, email) == before
    alice.deliver(
        [make_event(other, "click", AT + 99, url=LINK)]
    )  # known by its email, and known again
    settle_all()
    assert get_db().messages.count_documents({"email_id": ObjectId(other)}) == 1
