"""Late data: data that arrives after a gift re-matches the gifts it can affect, and no others."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.concurrency.drain import Drain
from documents.concurrency.lease import HeldLease, Lease
from documents.donation import Donation
from documents.matching import decide, late_touches, preview, rematch, user_changes
from documents.matching.candidates import BatchEvidence
from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from documents.matching.reading import read_evidence
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage.transaction import in_transaction
from documents.tracking import ingest
from documents.tracking.rules import MachineClickRule
from documents.user import User
from documents.values.time import now
from jobs.sweep import sweep_due_records
from matchback.engine.transaction import Tx
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

SENT, LATER_SENT = "2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z"
CLICKED, OPENED = 1_763_800_000, 1_763_700_000  # 2025-11-22T08:26:40Z, 2025-11-21T04:40:00Z
GIVEN = "2025-11-23T00:00:00Z"
EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def of(alice: University, gift: str, *names: str) -> tuple[Any, ...]:
    settle_all()
    found = alice.get(f"/v1/donations/{gift}/match")
    return tuple(found[name] for name in names)


def user_of(alice: University, email: str) -> str:
    return str(alice.get(f"/v1/emails/{email}")["user_id"])


def nothing_would_change(alice: University) -> bool:
    """Check that deciding every gift again gives the stored matches."""
    pages = preview_policy(ObjectId(alice.id), MatchPolicy(), lambda held: held)
    return not [change for _, changes in pages for change in changes]


def test_a_gift_by_token_matches_by_link_and_forged_tokens_are_ignored(
    alice: University, charlie: University
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    gift = alice.gift(spring, donor=EVE, email_id=token)
    assert of(alice, gift, "match", "rule", "email_id") == ("link", "link_token", email)
    theirs = charlie.email(charlie.fundraiser())
    foreign = charlie.get(f"/v1/emails/{theirs}")["link_token"]
    for bad in (token[:-1], token[:-1] + "!", token.swapcase(), foreign, theirs):
        forged = alice.gift(spring, donor=EVE, email_id=bad)
        assert of(alice, forged, "match", "rule") == ("none", "none"), bad


def test_events_may_name_their_email_by_its_token(alice: University) -> None:
    email = alice.email(alice.fundraiser(), sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    alice.deliver([make_event(token, "open", OPENED)])
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1


def test_a_gift_naming_another_fundraisers_email_keeps_a_note(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    email = alice.email(autumn, sent_at=SENT)
    gift = alice.gift(spring, email_id=email, donated_at=GIVEN)
    match, considered = of(alice, gift, "match", "considered")
    assert match == "none"
    assert considered == [
        {"email_id": email, "reason": "named by the gift, but of another fundraiser"}
    ]
    answer = alice.call(
        "PUT", f"/v1/fundraisers/{spring}/match-policy", {"other_fundraiser": "match"}
    )
    assert answer.status == 200
    again = alice.gift(spring, email_id=email, donated_at=GIVEN)
    found = of(alice, again, "match", "rule", "email_id", "policy")
    policy = {"scope": "fundraiser", "version": 1}
    assert found == ("link", "other_fundraiser", email, policy)


def test_a_late_click_changes_the_match_and_history_keeps_the_old_one(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    first, second = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    other = alice.email(spring, user=EVE, sent_at=SENT)
    gift = alice.gift(spring, donated_at=GIVEN)
    early = alice.gift(spring, donated_at="2025-11-22T00:00:00Z")
    eves = alice.gift(spring, donor=EVE, donated_at=GIVEN)
    assert of(alice, gift, "email_id", "touch", "history") == (second, "sent", [])
    untouched = [of(alice, one, "decided_at", "email_id") for one in (early, eves)]
    assert [email for _, email in untouched] == [second, other]

    alice.deliver([make_event(first, "click", CLICKED, url="https://give.example.edu/")])
    found = of(alice, gift, "email_id", "touch", "history")
    assert found[:2] == (first, "clicked")
    assert [(one["email_id"], one["touch"]) for one in found[2]] == [(second, "sent")]
    assert found[2][0]["replaced_at"] >= found[2][0]["decided_at"]
    # Gifts from before the click, or by another donor: the code must not read them.
    assert [of(alice, one, "decided_at", "email_id") for one in (early, eves)] == untouched
    assert alice.get(f"/v1/emails/{second}")["donations_count"] == 1
    assert alice.get(f"/v1/emails/{first}")["donated"] is True


def test_a_click_found_to_be_a_machines_releases_its_gift(alice: University) -> None:
    spring = alice.fundraiser()
    first, second = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.deliver([make_event(first, "click", CLICKED, url="https://give.example.edu/")])
    assert of(alice, gift, "email_id") == (first,)
    more = [
        make_event(first, "click", CLICKED + n, url=f"https://give.example.edu/{n}") for n in (1, 2)
    ]
    alice.deliver(more)
    assert alice.get(f"/v1/emails/{first}")["clicks"] == 1  # not tallied yet
    assert of(alice, gift, "email_id", "touch") == (second, "sent")


def test_a_late_user_gets_their_earlier_gifts_and_stays_one_donor(alice: University) -> None:
    spring = alice.fundraiser()
    gifts = [alice.gift(spring, donor={"name": "B", "email": "Bob+a@Example.edu"})]
    settle_all()
    assert alice.get(f"/v1/donations/{gifts[0]}")["user_id"] is None
    user = alice.make("users", **BOB)["id"]
    gifts.append(alice.gift(spring))
    settle_all()
    assert {alice.get(f"/v1/donations/{gift}")["user_id"] for gift in gifts} == {user}
    found = alice.get(f"/v1/users/{user}")
    assert (found["donations_count"], found["donated"]) == (2, {"USD": 5000})
    assert alice.report(spring)["donations"]["donors"] == 1


def test_a_new_address_finds_its_gifts_and_the_old_one_keeps_them(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    user = user_of(alice, email)
    old, new = (
        alice.gift(spring, donor={"name": "Bob", "email": address}, donated_at=GIVEN)
        for address in (BOB["email"], "bob@new.example.edu")
    )
    assert of(alice, new, "match") == ("none",)
    changed = alice.call("PATCH", f"/v1/users/{user}", {"email": "Bob@new.example.edu"})
    assert changed.status == 200
    for gift in (old, new):
        assert of(alice, gift, "match", "email_id") == ("address", email)
    assert alice.get(f"/v1/users/{user}")["donations_count"] == 2
    # The current holder of an old address takes precedence over a former holder.
    carol = alice.make("users", name="Carol", email=BOB["email"])["id"]
    assert of(alice, old, "match") == ("none",)
    assert alice.get(f"/v1/donations/{old}")["user_id"] == carol
    assert alice.get(f"/v1/users/{user}")["donations_count"] == 1


def test_tags_and_case_share_one_mailbox_and_exact_addresses_win(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    plain = alice.email(spring, sent_at=SENT)
    tagged = alice.email(
        spring, user={"name": "Bob", "email": "bob+alumni@example.edu"}, sent_at=SENT
    )
    for address, expected in (
        ("BOB@example.EDU", plain),
        ("bob+Alumni@example.edu", tagged),
        ("bob+gifts@example.edu", plain),
    ):
        gift = alice.gift(spring, donor={"name": "B", "email": address}, donated_at=GIVEN)
        assert of(alice, gift, "email_id") == (expected,), address


def test_a_pin_survives_new_data_and_unpinning_applies_the_rules(
    alice: University, charlie: University
) -> None:
    spring = alice.fundraiser()
    pinned, latest = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    gift = alice.gift(spring, donated_at=GIVEN)
    assert of(alice, gift, "email_id") == (latest,)
    path = f"/v1/donations/{gift}/match"
    token = alice.get(f"/v1/emails/{pinned}")["link_token"]
    answer = alice.call("PUT", path, {"email_id": token})
    assert (answer.status, answer.json["pending"]) == (200, True)
    assert answer.json["pin"]["email_id"] == pinned
    assert of(alice, gift, "match", "rule", "email_id") == ("pinned", "pin", pinned)
    alice.deliver([make_event(latest, "click", CLICKED, url="https://give.example.edu/")])
    alice.email(spring, sent_at="2025-11-22T12:00:00Z")
    assert of(alice, gift, "email_id", "pending") == (pinned, False)
    assert alice.get(f"/v1/emails/{pinned}")["raised"] == {"USD": 2500}

    assert alice.call("PUT", path, {"email_id": None}).status == 200
    assert of(alice, gift, "match", "rule", "email_id") == ("none", "pin", None)
    assert alice.call("DELETE", path).status == 200
    assert of(alice, gift, "rule", "email_id", "pin") == ("donor_address", latest, None)
    assert len(of(alice, gift, "history")[0]) == 3

    theirs = charlie.email(charlie.fundraiser())
    for bad in (theirs, charlie.get(f"/v1/emails/{theirs}")["link_token"], "nonsense", ""):
        assert alice.call("PUT", path, {"email_id": bad}).status == 422, bad
    for body in ({}, {"email_id": 3}, {"email_id": pinned, "match": "link"}):
        assert alice.call("PUT", path, body).status == 422, body
    assert charlie.call("PUT", path, {"email_id": theirs}).status == 404
    assert charlie.call("DELETE", path).status == 404


def test_a_gift_read_before_it_was_settled_can_be_unpinned(alice: University) -> None:
    """A save writes only changed fields, so it could omit a mark that was already set."""
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, donor=EVE, donated_at=GIVEN)
    settle_all()
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": email})
    read = Donation.fetch(ObjectId(alice.id), gift)
    assert of(alice, gift, "email_id") == (email,)
    read.unpin()
    assert of(alice, gift, "match", "pin") == ("none", None)


def test_a_user_read_before_it_was_followed_can_move_back(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    user = User.fetch(ObjectId(alice.id), user_of(alice, email))
    user.amend({"email": "bob@new.example.edu"})
    read = User.fetch(ObjectId(alice.id), str(user.id))
    settle_all()
    gift = alice.gift(spring, donated_at=GIVEN, donor={"name": "B", "email": "bob@third.edu"})
    settle_all()
    read.amend({"email": "bob@third.edu"})
    assert of(alice, gift, "email_id") == (email,)
    read = User.fetch(ObjectId(alice.id), str(user.id))
    read.amend({"email": BOB["email"]})
    assert of(alice, gift, "email_id") == (email,)


def test_after_deletion_of_a_pinned_email_the_rules_decide(alice: University) -> None:
    spring = alice.fundraiser()
    pinned, other = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": pinned})
    settle_all()
    assert alice.call("DELETE", f"/v1/emails/{pinned}").status == 204
    rule, email, note = of(alice, gift, "rule", "email_id", "note")
    assert (rule, email) == ("donor_address", other)
    assert note == "The email that staff had pinned was deleted."


def test_a_gift_without_its_pinned_email_is_rematched_like_others(
    alice: University, late_touch: None
) -> None:
    spring = alice.fundraiser()
    pinned, first, last = (alice.email(spring, sent_at=at) for at in (SENT, SENT, LATER_SENT))
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": pinned})
    settle_all()
    alice.call("DELETE", f"/v1/emails/{pinned}")
    assert of(alice, gift, "email_id") == (last,)
    alice.set_webhook_key()
    alice.deliver([make_event(first, "click", CLICKED)])
    assert of(alice, gift, "rule", "email_id") == ("donor_address", first)
    alice.call("PUT", f"/v1/fundraisers/{spring}/match-policy", {"window_seconds": 216_000})
    assert sum(preview.mark_all_for_rematch(ObjectId(alice.id))) == 1
    assert of(alice, gift, "email_id") == (last,)


def test_an_instalment_whose_pinned_email_was_deleted_follows_its_plan(alice: University) -> None:
    spring = alice.fundraiser()
    pinned, own = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    first = alice.gift(spring, donated_at=GIVEN, recurring_id="plan")
    later = alice.gift(spring, donated_at="2026-05-02T10:00:00Z", recurring_id="plan")
    alice.call("PUT", f"/v1/donations/{later}/match", {"email_id": pinned})
    settle_all()
    alice.call("DELETE", f"/v1/emails/{pinned}")
    assert of(alice, later, "rule", "email_id") == ("recurring", own)
    alice.call("PUT", f"/v1/donations/{first}/match", {"email_id": None})
    assert of(alice, later, "rule", "email_id") == ("recurring", None)


def test_a_click_tallied_while_its_gift_is_being_decided_is_not_overlooked(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    first, second = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    settle_all()
    gift = alice.gift(spring, donated_at=GIVEN)
    # In dispute, the gift adds nothing to counters that the click's transaction also writes.
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "disputed"})
    rounds = []

    def read_late(*args: Any) -> BatchEvidence:
        """Return evidence that changes before its use."""
        evidence = read_evidence(*args)
        rounds.append(evidence)
        if len(rounds) == 1:
            alice.deliver([make_event(first, "click", CLICKED, url="https://give.example.edu/")])
            ingest.tally_organization(ObjectId(alice.id), MachineClickRule())
        return evidence

    monkeypatch.setattr(decide, "read_evidence", read_late)
    assert of(alice, gift, "email_id") == (first,)
    assert len(rounds) > 1
    assert second != first


def test_late_clicks_find_their_gifts_among_many(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", 3)
    spring = alice.fundraiser()
    people = [{"name": f"P{n}", "email": f"p{n}@example.edu"} for n in range(8)]
    older = [alice.email(spring, user=who, sent_at=SENT) for who in people]
    for who in people:
        alice.email(spring, user=who, sent_at=LATER_SENT)
    gifts = [alice.gift(spring, donor=who, donated_at=GIVEN) for who in people]
    settle_all()
    alice.deliver([make_event(one, "open", OPENED) for one in older[:2]])
    settle_all()
    matched = [alice.get(f"/v1/donations/{gift}")["email_id"] for gift in gifts]
    assert matched[:2] == older[:2]
    assert not set(matched[2:]) & set(older)
    history = [alice.get(f"/v1/donations/{gift}/match")["history"] for gift in gifts]
    assert [len(past) for past in history] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_rematched_gift_does_not_keep_an_email_deleted_meanwhile(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gift still counts on the email, so its transaction writes no counter of the email."""
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, email_id=email, donated_at=GIVEN)
    settle_all()
    rematch.mark_for_rematch(Tx(get_db()), [ObjectId(gift)])
    rounds = []

    def read_late(*args: Any) -> BatchEvidence:
        """Return evidence that changes before its use."""
        evidence = read_evidence(*args)
        rounds.append(evidence)
        if len(rounds) == 1:
            alice.call("DELETE", f"/v1/emails/{email}")
            one = {"_id": ObjectId(email)}
            in_transaction(
                settling._settle, Drain(("test", None), 9), one, SettlingPolicy(), ("emails",)
            )
        return evidence

    monkeypatch.setattr(decide, "read_evidence", read_late)
    assert of(alice, gift, "match", "email_id") == ("none", None)
    assert len(rounds) > 1


def test_an_instalment_decided_during_a_rematch_of_the_first_follows_it(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither transaction sees the other's writes, so one of them must fail and retry."""
    spring = alice.fundraiser()
    email = alice.email(spring, user=EVE, sent_at=SENT)
    plan: dict[str, Any] = {"recurring_id": "plan"}
    first = alice.gift(spring, donated_at="2025-11-22T00:00:00Z", **plan)
    settle_all()
    later = alice.gift(spring, donated_at=GIVEN, **plan)
    # In dispute, the gift adds nothing to counters that the other transaction also writes.
    alice.call("PATCH", f"/v1/donations/{later}", {"status": "disputed"})
    rounds = []

    def read_late(*args: Any) -> BatchEvidence:
        """Return evidence that changes before its use."""
        evidence = read_evidence(*args)
        rounds.append(evidence)
        if len(rounds) == 1:
            pin = {"$set": {"pin": {"email_id": ObjectId(email)}}}
            first_one = {"_id": ObjectId(first)}
            get_db().donations.update_one(first_one, pin)
            rematch.mark_for_rematch(Tx(get_db()), [ObjectId(first)])
            with monkeypatch.context() as unseen:
                # This transaction's snapshot is older than the later instalment.
                unseen.setattr(decide, "mark_astray", lambda *_: None)
                in_transaction(
                    settling._settle,
                    Drain(("test", None), 9),
                    first_one,
                    SettlingPolicy(),
                    ("donations",),
                )
        return evidence

    monkeypatch.setattr(decide, "read_evidence", read_late)
    assert of(alice, later, "email_id", "rule") == (email, "recurring")


@pytest.mark.parametrize("late", ["email", "user"])
def test_more_gifts_than_one_transaction_marks_are_all_rematched(
    alice: University, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    for module in (late_touches, user_changes):
        monkeypatch.setattr(module, "MARKED_GIFTS_PER_BATCH", 10)
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", 3)
    spring = alice.fundraiser()
    if late == "email":
        alice.make("users", **BOB)
    gifts = [alice.gift(spring, donated_at=GIVEN) for _ in range(35)]
    settle_all()
    email = alice.email(spring, sent_at=SENT)
    settle_all()
    assert {alice.get(f"/v1/donations/{gift}")["email_id"] for gift in gifts} == {email}
    assert get_db().users.count_documents(user_changes.REMATCH_DUE_FILTER) == 0
    assert get_db().late_touches.count_documents({}) == 0
    assert alice.get(f"/v1/emails/{email}")["donations_count"] == 35


@pytest.fixture
def noted(alice: University, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Create gifts of three donors, and note late opens of two earlier emails by each donor."""
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", 2)
    monkeypatch.setattr(late_touches, "MAILBOXES_PER_QUERY", 2)
    monkeypatch.setattr(late_touches, "MAX_NOTE_WAIT", timedelta(hours=1))
    spring = alice.fundraiser()
    people = [{"name": f"P{n}", "email": f"p{n}@example.edu"} for n in range(3)]
    first, second = ([alice.email(spring, user=who, sent_at=SENT) for who in people] for _ in "12")
    for who in people:
        alice.email(spring, user=who, sent_at=LATER_SENT)
    gifts = [alice.gift(spring, donor=who, donated_at=GIVEN) for who in people]
    settle_all()
    for at, emails in enumerate((first, second)):
        alice.deliver([make_event(email, "open", OPENED + at) for email in emails])
        ingest.tally_organization(ObjectId(alice.id), MachineClickRule())
    assert get_db().late_touches.count_documents({}) == 2
    assert get_db().donations.count_documents({"rematch": True}) == 0
    return gifts


def test_a_gift_with_several_opened_emails_is_rematched_once(
    alice: University, noted: list[str]
) -> None:
    [spring] = {row["fundraiser_id"] for row in get_db().donations.find()}
    assert alice.report(str(spring))["unsettled"]["oldest_seconds"] > 0
    assert late_touches.mark_gifts_of_notes(ObjectId(alice.id)) == {spring}
    assert get_db().donations.count_documents({"rematch": True}) == 3
    settle_all()
    assert alice.report(str(spring))["unsettled"]["oldest_seconds"] == 0
    found = [alice.get(f"/v1/donations/{gift}/match") for gift in noted]
    assert [len(one["history"]) for one in found] == [1, 1, 1]
    assert {one["touch"] for one in found} == {"opened"}
    assert nothing_would_change(alice)


@pytest.mark.usefixtures("noted")
def test_notes_wait_for_events_only_briefly(alice: University) -> None:
    organization_id = ObjectId(alice.id)
    alice.deliver([make_event(str(ObjectId()), "open", OPENED)])
    assert not late_touches.mark_gifts_of_notes(organization_id)
    long_ago = {"$set": {"due": now() - late_touches.MAX_NOTE_WAIT}}
    get_db().late_touches.update_one({}, long_ago)
    assert late_touches.mark_gifts_of_notes(organization_id)


@pytest.mark.usefixtures("noted")
def test_notes_do_not_wait_for_events_of_others(alice: University, charlie: University) -> None:
    charlie.set_webhook_key()
    charlie.deliver([make_event(str(ObjectId()), "open", OPENED)])
    assert late_touches.mark_gifts_of_notes(ObjectId(alice.id))


@pytest.mark.usefixtures("noted")
def test_one_worker_follows_the_notes_of_an_organization(alice: University) -> None:
    organization_id = ObjectId(alice.id)
    assert HeldLease(f"late touches:{organization_id}", "another worker").take()
    assert not late_touches.mark_gifts_of_notes(organization_id)
    Lease.objects.update(until=now())  # simulates a kill
    assert late_touches.mark_gifts_of_notes(organization_id)
    assert Lease.objects.count() == 0


@pytest.mark.usefixtures("late_touch")
def test_late_facts_about_an_erased_donor_reach_their_gift(alice: University) -> None:
    spring = alice.fundraiser()
    opened = alice.email(spring, sent_at=SENT)
    alice.email(spring, sent_at=LATER_SENT)
    gift = alice.gift(spring, donated_at=GIVEN)
    settle_all()
    alice.deliver([make_event(opened, "open", OPENED)])
    ingest.tally_organization(ObjectId(alice.id), MachineClickRule())
    assert alice.call("DELETE", f"/v1/users/{user_of(alice, opened)}?erase=true").status == 204
    assert of(alice, gift, "email_id", "touch") == (opened, "opened")
    assert nothing_would_change(alice)


def test_repeated_notes_change_nothing(alice: University, noted: list[str]) -> None:
    """A worker may be killed after it marks the gifts, and before it deletes the note."""
    notes = list(get_db().late_touches.find())
    settle_all()
    before = [alice.get(f"/v1/donations/{gift}/match") for gift in noted]
    get_db().late_touches.insert_many(notes)
    settle_all()
    after = [alice.get(f"/v1/donations/{gift}/match") for gift in noted]
    assert [one["history"] for one in after] == [one["history"] for one in before]
    assert get_db().late_touches.count_documents({}) == 0


def test_many_users_with_many_gifts_take_few_queries(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    for number in range(16):
        donor = {"name": f"Donor {number}", "email": f"donor{number}@example.edu"}
        for _ in range(2):
            alice.gift(spring, donor=donor)
        alice.make("users", **donor)
    settle_all()
    get_db().users.update_many({}, {"$set": {"rematch_due": now()}})
    monkeypatch.setattr(user_changes, "MARKED_GIFTS_PER_BATCH", 8)
    asked: list[int] = []
    read = user_changes._gifts

    def noted(users: list[Any], after: ObjectId | None = None) -> list[Any]:
        asked.append(len(users))
        return read(users, after)

    monkeypatch.setattr(user_changes, "_gifts", noted)
    user_changes.mark_gifts_of_users()
    assert get_db().donations.count_documents({"rematch": True}) == 32
    assert get_db().users.count_documents(user_changes.REMATCH_DUE_FILTER) == 0
    assert asked == [16, 8, 4, 4, 8, 4, 4]


@pytest.mark.usefixtures("late_touch")
def test_every_gift_ends_with_its_best_match_after_parallel_changes(
    alice: University,
) -> None:
    """Six threads change gifts, emails, events and users, and two threads sweep."""
    spring = alice.fundraiser()
    people = [{"name": f"P{n}", "email": f"p{n}@example.edu"} for n in range(8)]
    ended = threading.Event()

    def sweeping() -> None:
        while not ended.is_set():
            sweep_due_records()

    def act(seed: int) -> None:
        chance = random.Random(seed)
        mine: list[str] = []
        for number in range(30):
            who = chance.choice(people)
            match chance.randrange(8):
                case 0 | 1:
                    plan = chance.choice([None, "plan"])
                    alice.gift(spring, donor=who, recurring_id=plan, donated_at=GIVEN)
                case 2 | 3:
                    mine.append(alice.email(spring, user=who, sent_at=SENT))
                case 4 if mine:
                    type_ = chance.choice(["open", "click", "bounce", "delivered", "dropped"])
                    at = CLICKED + 100 * number
                    alice.deliver(
                        [make_event(chance.choice(mine), type_, at, url="https://a.edu/")]
                    )
                case 5 if mine:
                    alice.call("DELETE", f"/v1/emails/{mine.pop()}")
                case 6 if mine:
                    user = user_of(alice, mine[-1])
                    address = f"p{seed}-{number}@example.edu"
                    alice.call("PATCH", f"/v1/users/{user}", {"email": address})
                case 7 if mine and not number % 5:
                    alice.call("DELETE", f"/v1/users/{user_of(alice, mine[-1])}?erase=true")

    with ThreadPoolExecutor() as pool:
        sweepers = [pool.submit(sweeping) for _ in range(2)]
        list(pool.map(act, range(6)))
        ended.set()
        for sweeper in sweepers:
            sweeper.result()
    settle_all()
    assert nothing_would_change(alice)
    assert alice.report(spring)["donations"]["count"] == get_db().donations.count_documents({})


def test_instalments_from_parallel_workers_follow_the_first(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring, sent_at=SENT)
    alice.email(spring, user=EVE, sent_at=SENT)

    def pay(month: int) -> str:
        donor = BOB if month == 1 else EVE
        day = f"2025-11-{20 + month:02}T00:00:00Z"
        gift = alice.gift(spring, 100, donor, recurring_id="monthly", donated_at=day)
        sweep_due_records()
        return gift

    with ThreadPoolExecutor(8) as pool:
        gifts = list(pool.map(pay, (5, 3, 8, 1, 2, 7, 4, 6)))
    settle_all()
    first = gifts[3]
    emails = {alice.get(f"/v1/donations/{gift}")["email_id"] for gift in gifts}
    assert emails == {alice.get(f"/v1/donations/{first}")["email_id"]}
    assert of(alice, gifts[0], "follows", "rule") == (first, "recurring")
    assert alice.report(spring)["recurring"] == {
        "plans": 1,
        "first_gift": {"USD": 100},
        "lifetime": {"USD": 800},
    }
    # The first instalment fails, so the next one becomes the first, and is matched as usual.
    alice.call("PATCH", f"/v1/donations/{first}", {"status": "failed"})
    assert of(alice, gifts[0], "follows") == (gifts[4],)
    assert alice.get(f"/v1/donations/{gifts[4]}")["match"] == "address"
    assert nothing_would_change(alice)


def test_changed_money_subtracts_exactly_what_it_added(alice: University) -> None:
    """Refunds in part and in full, won and lost disputes, and failures, in each currency."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    money = {"USD": 2500, "JPY": 3000, "KWD": 1234}
    gifts = {
        code: alice.gift(spring, amount, email_id=token, currency=code)
        for code, amount in money.items()
    }
    user = user_of(alice, email)

    def everywhere() -> list[dict[str, int]]:
        settle_all()
        reports = [alice.report(spring), alice.get(f"/v1/mailings/{mailing}/report")]
        sums = [alice.get(f"/v1/users/{user}")["donated"]]
        sums += [
            alice.get(f"/v1/{noun}/{id_}")["raised"]
            for noun, id_ in (("emails", email), ("mailings", mailing), ("fundraisers", spring))
        ]
        for report in reports:
            sums += [report["donations"]["raised"]]
            sums += [report["donations"]["by_match"]["link"]["raised"]]
        return sums

    def change(code: str, **fields: Any) -> None:
        answer = alice.call("PATCH", f"/v1/donations/{gifts[code]}", fields)
        assert answer.status == 200, answer.content

    assert everywhere() == [money] * 8
    change("USD", refunded_amount=400)
    change("JPY", status="disputed")
    change("KWD", status="failed")
    assert everywhere() == [{"USD": 2100}] * 8
    change("JPY", status="succeeded")  # won
    change("KWD", status="succeeded")
    change("USD", refunded_amount=2500)
    assert everywhere() == [{"JPY": 3000, "KWD": 1234}] * 8
    change("USD", refunded_amount=2400)  # part of the refund was reversed
    change("JPY", status="disputed")  # lost, and it stays lost
    change("KWD", refunded_amount=1234)
    assert everywhere() == [{"USD": 100}] * 8
    figures = alice.report(spring)["donations"]
    assert (figures["count"], figures["donors"]) == (1, 1)
    assert figures["refunded"] == {"KWD": 1234, "USD": 2400}
    change("USD", status="failed")
    assert everywhere() == [{}] * 8
    assert alice.get(f"/v1/emails/{email}")["donated"] is False
    assert alice.get(f"/v1/users/{user}")["last_donated_at"] is None
