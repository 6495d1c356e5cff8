"""Erasing Ann reads the payments that name her, not those of other people."""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import mongoengine
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config import database
from documents.erased.mailboxes import ANY_MAILBOX, MOST_SPELLINGS, NO_MAILBOX, mailbox_digest
from documents.erased.person import identify_person
from documents.migrations.migration import mark_all_finished
from documents.migrations.steps import MIGRATIONS
from documents.payments.named_by import MIGRATION, named_by
from documents.payments.payment import add_facts, store
from documents.privacy import erasure, payments
from documents.storage.transaction import in_transaction
from matchback.engine import Tx
from service.app import create_app
from tests.integration.documents.payments.test_payments import SECRET, post
from tests.integration.documents.privacy.test_erased_mentions import ANN, erase, traces
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    FIRST_EVENT_AT,
    make_charge_event,
    make_intent_event,
    make_session_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

FEW, MANY = 1, 2_000
MOST_EXAMINED = 20
READ = ("nReturned", "totalDocsExamined", "totalKeysExamined")


def connect(place: University) -> University:
    set_stripe_secret(place)
    place.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return place


@pytest.fixture
def commands(real_database: str) -> Iterator[CommandRecorder]:
    mongoengine.disconnect_all()
    listener = CommandRecorder()
    database.connect_database(event_listeners=[listener])
    mark_all_finished(MIGRATIONS)
    yield listener
    mongoengine.disconnect_all()


@pytest.fixture
def api(commands: CommandRecorder) -> Api:
    return Api.in_process(testing.TestClient(create_app()))


@pytest.fixture
def alice(api: Api) -> University:
    return connect(create_university("Alice's University", api))


def others(place: University, number: int) -> None:
    """Store payments of other people, as this version does."""
    rows: list[dict[str, Any]] = []
    for one in range(number):
        key = f"pi_other_{one}"
        fact = {"kind": "charge", "status": "succeeded", "email": f"donor{one}@example.org"}
        row: Any = {"_id": f"{place.id}:stripe:{key}", "organization_id": ObjectId(place.id)}
        row |= {"public_id": ObjectId(), "donation_id": ObjectId(), "facts": {"ch_1": fact}}
        rows.append(row | {"named_by": named_by(row)})
    get_db().payments.insert_many(rows)


def payment(key: str) -> Any:
    return get_db().payments.find_one({"_id": {"$regex": f":{key}$"}})


def count_reads(commands: CommandRecorder, act: Callable[[], object]) -> list[int]:
    """Return how many payments an act reads, and how many documents and index keys that takes."""
    commands.sent.clear()
    act()
    asked = [
        one
        for one in commands.sent
        if read_command_name(one) == "find" and one["find"] == "payments"
    ]
    total = [0] * len(READ)
    for command in asked:
        wanted = {name: command[name] for name in ("find", "filter", "hint") if name in command}
        told = get_db().command("explain", wanted, verbosity="executionStats")["executionStats"]
        total = [so_far + told[name] for so_far, name in zip(total, READ, strict=True)]
    return total


def named_in_every_way(alice: University) -> None:
    """Store Ann's gift, her gift without a fundraiser, and Bob's payment that mentions her."""
    spring = alice.fundraiser()
    post_stripe_event(
        alice,
        set_metadata(make_charge_event("succeeded", billing_details=ANN), fundraiser_id=spring),
    )
    post(alice, "own", float(FIRST_EVENT_AT), UNKNOWN_ID, donor=ANN)
    post(alice, "bobs", float(FIRST_EVENT_AT), spring, recurring_id="with ann%40example.edu")
    settle_all()


def marked(place: University) -> ObjectId:
    """Return Ann's ID, after the request to erase her."""
    user = ObjectId(place.make("users", **ANN)["id"])
    settle_all()
    erasure.request_erasure(ObjectId(place.id), user)
    return user


@pytest.mark.parametrize("act", ["payments", "all"])
def test_an_erasure_reads_as_much_among_2000_payments_as_alone(
    api: Api, commands: CommandRecorder, act: str
) -> None:
    seen = []
    for number in (FEW, MANY):
        place = connect(create_university(f"A university with {number}", api))
        named_in_every_way(place)
        others(place, number)
        user = marked(place)
        row: Any = get_db().users.find_one({"_id": user})
        acts: dict[str, Callable[[], object]] = {
            "payments": partial(payments.erase_payments, identify_person(row)),
            "all": partial(erasure.erase_user, user),
        }
        seen.append(count_reads(commands, acts[act]))
        settle_all()
        assert traces() == []
    (few, *_), (many, *_) = seen
    assert few == many > 0
    # MongoDB may scan a few payments, so only the upper limit is certain.
    assert max(*seen[0], *seen[1]) < MOST_EXAMINED


def test_all_payments_are_read_until_the_migration_has_ended(
    alice: University, commands: CommandRecorder
) -> None:
    named_in_every_way(alice)
    # An earlier version changes texts, but keeps this version's old digests.
    get_db().payments.update_many({}, {"$set": {"named_by": [NO_MAILBOX]}})
    get_db().migrations.update_one({"_id": MIGRATION}, {"$unset": {"finished_at": ""}})
    erase(alice)
    assert traces() == []


def test_a_payment_that_an_earlier_version_stores_late_is_found(alice: University) -> None:
    named_in_every_way(alice)
    get_db().payments.update_many({}, {"$unset": {"named_by": ""}})
    erase(alice)
    assert traces() == []


@pytest.mark.parametrize(
    "spelling",
    [
        *[
            "ANN@Example.edu",
            "ann+spring@example.edu",
            "ａｎｎ＠example.edu",
            "an\u200bn@example.edu",
        ],
        '"ann"@example.edu',
        "Ann <ann@example.edu>",
    ],
)
def test_every_spelling_is_one_mailbox(alice: University, spelling: str) -> None:
    post_stripe_event(
        alice, make_charge_event("succeeded", billing_details={"name": "A. A.", "email": spelling})
    )
    settle_all()
    assert payment("pi_1")["named_by"] == [mailbox_digest(ObjectId(alice.id), ANN["email"])]
    erase(alice)
    [fact] = [fact for id_, fact in payment("pi_1")["facts"].items() if id_ == "ch_1"]
    assert (fact.get("email"), fact.get("name")) == (None, None)
    assert "erased" in payment("pi_1")


def nested(text: str) -> str:
    return quote(base64.b64encode(f'{{"to": "{quote(text, safe="")}"}}'.encode()).decode())


@pytest.mark.parametrize("encode", [nested, lambda text: text.encode().hex(), quote])
def test_an_encoded_mention_is_redacted_among_others(
    alice: University, encode: Callable[[str], str]
) -> None:
    others(alice, 20)
    spring = alice.fundraiser()
    told = f"https://x.org/{encode(ANN['email'])}"
    post_stripe_event(
        alice, set_metadata(make_charge_event("succeeded"), fundraiser_id=spring, email_id=told)
    )
    settle_all()
    assert told in str(payment("pi_1"))
    erase(alice)
    assert told not in str(payment("pi_1"))
    assert BOB["email"] in str(payment("pi_1"))


def test_an_address_split_over_texts_is_not_found(alice: University) -> None:
    named = {"recurring_id": "for ann@", "email_id": "example.edu"}
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), **named))
    settle_all()
    before = payment("pi_1")
    assert before["named_by"] == [mailbox_digest(ObjectId(alice.id), BOB["email"])]
    erase(alice)
    assert payment("pi_1") == before


def hostile() -> str:
    """Return a text with more addresses than a payment keeps digests of."""
    return " ".join(f"{number}@b.co" for number in range(MOST_SPELLINGS + 50))


def test_a_payment_that_names_too_many_is_always_read(alice: University) -> None:
    spring = alice.fundraiser()
    named = {"recurring_id": f"{hostile()} ann@example.edu", "fundraiser_id": spring}
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), **named))
    settle_all()
    assert payment("pi_1")["named_by"] == [ANY_MAILBOX]
    erase(alice)
    assert traces() == []
    assert payment("pi_1")["named_by"] == [mailbox_digest(ObjectId(alice.id), BOB["email"])]


def test_data_of_a_later_webhook_is_found(alice: University) -> None:
    post_stripe_event(
        alice, make_charge_event("succeeded", 1, billing_details={"name": None, "email": None})
    )
    settle_all()
    assert payment("pi_1")["named_by"] == [NO_MAILBOX]
    post_stripe_event(
        alice, make_intent_event("succeeded", "succeeded", 2, receipt_email="Ann+x@example.edu")
    )
    settle_all()
    assert payment("pi_1")["named_by"] == [mailbox_digest(ObjectId(alice.id), ANN["email"])]
    erase(alice)
    assert traces() == []
    assert payment("pi_1")["erased"]


def test_data_after_the_erasure_is_dropped_or_new(alice: University) -> None:
    spring = alice.fundraiser()
    told = set_metadata(
        make_charge_event("succeeded", 1, billing_details=ANN), fundraiser_id=spring
    )
    post_stripe_event(alice, told)
    erase(alice)
    digest = mailbox_digest(ObjectId(alice.id), ANN["email"])
    assert digest not in str(list(get_db().payments.find()))
    post_stripe_event(
        alice, make_intent_event("succeeded", "succeeded", 2, receipt_email=ANN["email"])
    )
    post_stripe_event(alice, told)
    settle_all()
    settle_all()
    assert traces() == []
    assert digest not in str(list(get_db().payments.find()))
    post(alice, "new", float(FIRST_EVENT_AT), spring, donor=ANN)  # she gives again, as a stranger
    settle_all()
    [new] = get_db().payments.find({"named_by": digest})
    assert new["_id"].endswith(":new")
    erase(alice)
    assert traces() == []


def test_another_organizations_payments_do_not_change(alice: University, api: Api) -> None:
    charlie = connect(create_university("Charlie's University", api))
    for place in (charlie, alice):
        named_in_every_way(place)
    theirs = list(get_db().payments.find({"organization_id": ObjectId(charlie.id)}))
    erase(alice)
    assert list(get_db().payments.find({"organization_id": ObjectId(charlie.id)})) == theirs
    assert [one for one in traces() if alice.id in one] == []


class Killed(BaseException):
    """An exception that simulates the end of the process."""


def killed_after(steps: int) -> Callable[..., Any]:
    """Return a way to run transactions that ends the process after some of them."""
    left = iter(range(steps))

    def run(work: Callable[..., Any], *args: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return in_transaction(work, *args)

    return run


@pytest.mark.parametrize("steps", range(4))
def test_the_migration_resumes_after_a_kill_anywhere(
    alice: University, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """A post is also deleted if it names her and the payment, but not her address."""
    spring = alice.fundraiser()
    post_stripe_event(alice, make_charge_event("succeeded", 1, billing_details=ANN))
    unnamed = {"name": ANN["name"], "email": None}
    post_stripe_event(alice, make_session_event("completed", 2, customer_details=unnamed))
    post(alice, "own", float(FIRST_EVENT_AT), UNKNOWN_ID, donor=ANN)
    post(alice, "bobs", float(FIRST_EVENT_AT), spring, recurring_id="with ann@example.edu")
    settle_all()
    user = marked(alice)
    with monkeypatch.context() as patch:
        patch.setattr(payments, "in_transaction", killed_after(steps))
        patch.setattr(erasure, "erase_posts", killed_after(0))
        with pytest.raises(Killed):
            erasure.erase_user(user)
    stripped = get_db().payments.count_documents({"$or": [{"erased": True}, {"replaced": {}}]})
    assert stripped <= steps
    settle_all()
    assert traces() == []


def test_a_payment_stripped_for_two_people_keeps_both(alice: University) -> None:
    named_in_every_way(alice)
    erase(alice)
    erase(alice, BOB)
    assert traces("ann@", "bob@") == []
    users = {row["_id"] for row in get_db().users.find({"name": "(erased)"})}
    for row in get_db().payments.find():
        assert set(row["stripped_for"]) <= users
        assert row["named_by"] == [NO_MAILBOX, *map(str, row["stripped_for"])]


def test_an_event_of_the_same_person_changes_no_payment(alice: University) -> None:
    alice.set_webhook_key()
    named_in_every_way(alice)
    email = alice.email(alice.fundraiser(), ANN)
    alice.deliver([make_event(email, "open", FIRST_EVENT_AT, email=ANN["email"])])
    erase(alice)
    assert traces() == []


def test_the_digests_follow_each_write(alice: University) -> None:
    row: Any = {"_id": f"{alice.id}:stripe:pi_9", "organization_id": ObjectId(alice.id)}
    row |= {"facts": {}}
    for at, email in ((1.0, ANN["email"]), (2.0, BOB["email"])):
        fact = {"at": at, "kind": "charge", "status": "succeeded", "email": email}
        add_facts(row, {"ch_9": fact})

        def write(tx: Tx) -> None:
            store(tx, row)

        in_transaction(write)
        assert payment("pi_9")["named_by"] == [mailbox_digest(ObjectId(alice.id), email)]
