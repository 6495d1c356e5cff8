"""Bob is erased while an email to him or a gift is recorded. The record keeps nothing of him."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.email import Email
from documents.erased import late_records
from documents.imports import emails as email_imports
from documents.imports import inserts
from documents.matching import decide
from documents.migrations.migration import mark_all_finished
from documents.migrations.steps import MIGRATIONS
from documents.privacy.erasure import erase_user, request_erasure
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.settling.settle import settle_fundraiser
from tests.integration.documents.outcomes.recomputed import read_arms, recompute_arms
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
PATIENCE_SECONDS = 20
SECRET = "Class of 1987"
CLASS = {"class": SECRET}
ARMS = [{"name": "sent", "weight": 1}, {"name": "holdout", "weight": 1, "held_out": True}]
WAYS = ["post", "import", "held out", "imported and held out"]
Step = Callable[[], Any]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    mark_all_finished(MIGRATIONS)
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


class Scene:
    """Bob, whose attributes are known, and a mailing that is about to be recorded for him."""

    def __init__(self, alice: University, way: str) -> None:
        self.alice, self.way = alice, way
        self.spring = alice.fundraiser()
        self.mailing = alice.mailing(self.spring, sent_at="2025-11-20T00:00:00Z")
        path = f"/v1/mailings/{self.mailing}/experiment"
        if "held out" in way:
            assert alice.call("PUT", path, {"arms": ARMS}).status == 200
        self.bob = ObjectId(alice.make("users", **BOB, attributes=CLASS)["id"])
        settle_all()

    def record(self) -> None:
        """Record Bob's email, by the API or by an import."""
        arm = {"arm": "holdout"} if "held out" in self.way else {}
        line = {"mailing_id": self.mailing, "user_id": str(self.bob), **arm}
        if "import" not in self.way:
            self.alice.make("emails", fundraiser_id=self.spring, **line)
            return
        headers = {"Content-Type": "application/x-ndjson"}
        body = json.dumps(line).encode()
        answer = self.alice.call("POST", "/v1/emails/import", body=body, headers=headers)
        assert answer.json["created"] == 1, answer.content

    def request(self) -> None:
        request_erasure(ObjectId(self.alice.id), self.bob)

    def finish(self) -> None:
        """Erase Bob completely, as a worker does."""
        self.request()
        assert erase_user(self.bob)

    def settle(self) -> None:
        settle_fundraiser(ObjectId(self.spring), SettlingPolicy())

    def check(self) -> None:
        """Assert that nothing of Bob is left, and that every count by attribute is right."""
        settle_all()
        [email] = get_db().emails.find()
        assert "attributes" not in email
        assert email["erased"]
        assert get_db().users.count_documents({"erase_due": {"$exists": True}}) == 0
        assert SECRET not in str(list(get_db().users.find()))
        table = self.alice.get(f"/v1/mailings/{self.mailing}/report?by=class")["segments"]
        told = {line["value"]: line["recorded"] for line in table["values"] if line["value"]}
        assert told == ({} if email.get("held_out") or email.get("deleted_at") else {SECRET: 1})
        assert read_arms() == recompute_arms()


def pause_recording(monkeypatch: pytest.MonkeyPatch, act: Step) -> None:
    """Act once, after the recording has read the user and before it inserts the email."""
    insert, insert_missing = Email.insert, inserts.insert_missing
    acts = [act]

    def first(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            if acts:
                acts.pop()()
            return real(*args)

        return run

    monkeypatch.setattr(Email, "insert", first(insert))
    monkeypatch.setattr(email_imports, "insert_missing", first(insert_missing))


def run_once(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Step, *, after: bool
) -> None:
    """Act once, before or after the next call of a function."""
    real, acts = getattr(module, name), [act]

    def call(*args: Any) -> Any:
        found = None if after else acts and acts.pop()()
        found = real(*args)
        if after and acts:
            acts.pop()()
        return found

    monkeypatch.setattr(module, name, call)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("erased", ["request", "finish"])
def test_an_erasure_before_the_insert(
    alice: University, monkeypatch: pytest.MonkeyPatch, way: str, erased: str
) -> None:
    scene = Scene(alice, way)
    pause_recording(monkeypatch, getattr(scene, erased))
    scene.record()
    scene.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("settled", [False, True])
def test_an_erasure_after_the_insert(alice: University, way: str, *, settled: bool) -> None:
    scene = Scene(alice, way)
    scene.record()
    if settled:
        scene.settle()
    scene.finish()
    scene.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("after", [False, True])
def test_a_request_while_the_email_settles_for_the_first_time(
    alice: University, monkeypatch: pytest.MonkeyPatch, way: str, *, after: bool
) -> None:
    """The transaction has read Bob. Its own write of Bob conflicts with the request."""
    scene = Scene(alice, way)
    scene.record()
    run_once(monkeypatch, late_records, "_find_erased_users", scene.request, after=after)
    scene.settle()
    monkeypatch.undo()
    [email] = get_db().emails.find()
    assert "attributes" not in email, "the transaction did not see the request"
    scene.check()


@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_waits_for_the_settling_erases_after_it(
    alice: University, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The transaction has written Bob, so the request waits for its commit."""
    scene = Scene(alice, way)
    scene.record()
    with ThreadPoolExecutor(1) as pool:
        waits: list[Any] = []
        run_once(
            *(monkeypatch, settling, "settle"),
            lambda: waits.append(pool.submit(scene.request)),
            after=True,
        )
        scene.settle()
        monkeypatch.undo()
        waits[0].result(PATIENCE_SECONDS)
    assert erase_user(scene.bob)
    scene.check()


@pytest.mark.parametrize("way", WAYS)
def test_an_email_that_is_deleted_before_it_settles(
    alice: University, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """No counter of Bob changes, but the transaction must still conflict with the request."""
    scene = Scene(alice, way)
    scene.record()
    [email] = get_db().emails.find()
    assert alice.call("DELETE", f"/v1/emails/{email['_id']}").status == 204
    run_once(monkeypatch, late_records, "_find_erased_users", scene.request, after=True)
    scene.settle()
    monkeypatch.undo()
    [email] = get_db().emails.find()
    assert "attributes" not in email
    scene.check()


def test_events_that_arrive_before_the_first_settling_are_erased(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(alice, "post")
    pause_recording(monkeypatch, scene.finish)
    scene.record()
    [email] = get_db().emails.find()
    alice.deliver([make_event(str(email["_id"]), "open", AT, ip="192.0.2.7")])
    scene.check()
    assert BOB["email"] not in str(list(get_db().events.find()))
    assert b"192.0.2.7" not in b"".join(row["body"] for row in get_db().deliveries.find())
    assert alice.get(f"/v1/emails/{email['_id']}")["opens"] == 1


def test_other_people_of_the_batch_keep_their_attributes(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has the name that erased users have."""
    scene = Scene(alice, "post")
    named: Any = {"name": "(erased)", "email": "eve@example.org", "attributes": CLASS}
    eve = alice.email(scene.spring, named, mailing_id=scene.mailing)
    pause_recording(monkeypatch, scene.finish)
    scene.record()
    settle_all()
    assert alice.get(f"/v1/emails/{eve}")["attributes"] == CLASS
    bobs = get_db().emails.find_one({"user_id": scene.bob}) or {}
    assert "attributes" not in bobs
    table = alice.get(f"/v1/mailings/{scene.mailing}/report?by=class")["segments"]["values"]
    assert [line["recorded"] for line in table if line["value"] == SECRET] == [2]


def read_donors() -> set[tuple[str, str]]:
    return {(row["donor_name"], row["donor_email"]) for row in get_db().donations.find()}


@pytest.mark.parametrize("donor", [BOB, {"name": "Bob Baker"}])
def test_a_gift_that_names_an_email_of_an_erased_person_loses_its_donor(
    alice: University, donor: dict[str, str]
) -> None:
    scene = Scene(alice, "post")
    scene.record()
    scene.finish()
    [email] = get_db().emails.find()
    alice.gift(scene.spring, 2500, donor, email_id=str(email["_id"]))
    alice.gift(scene.spring, 700, donor)  # names only an address, as a stranger does
    settle_all()
    first, second = alice.get("/v1/donations?sort=-amount")["data"]
    assert (first["donor"]["name"], first["match"]) == ("(erased)", "link")
    assert (second["donor"]["name"], second["match"]) == ("Bob Baker", "none")
    assert alice.report(scene.spring)["donations"]["raised"] == {"USD": 3200}
    assert get_db().users.count_documents({"erase_due": {"$exists": True}}) == 0


@pytest.mark.parametrize("erased", ["request", "finish"])
@pytest.mark.parametrize("after", [False, True])
def test_an_erasure_while_a_gift_is_decided(
    alice: University, monkeypatch: pytest.MonkeyPatch, erased: str, *, after: bool
) -> None:
    scene = Scene(alice, "post")
    scene.record()
    settle_all()
    [email] = get_db().emails.find()
    alice.gift(scene.spring, 2500, {"name": "Bob Baker"}, email_id=str(email["_id"]))
    run_once(monkeypatch, decide, "read_evidence", getattr(scene, erased), after=after)
    scene.settle()
    monkeypatch.undo()
    settle_all()
    assert read_donors() == {("(erased)", "(erased)")}
    assert alice.report(scene.spring)["donations"]["by_match"]["link"]["count"] == 1
    assert get_db().users.count_documents({"erase_due": {"$exists": True}}) == 0
