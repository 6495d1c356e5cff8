"""Alice looks through the many recipients of her mailing."""

import base64
import json
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.email import RECIPIENT_ACTION_FIELDS, Email
from documents.email_recording import record_email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.organization import Organization
from documents.people.search_words import list_search_words
from documents.reports.recipients import (
    MAX_INSPECTED_PEOPLE,
    Recipient,
    RecipientAction,
    list_recipients,
)
from documents.storage.pagination import InvalidCursor, encode_cursor
from documents.storage.record import build_record_row
from documents.storage.tenancy import act_for
from documents.user import User
from documents.values.address import fold_text
from documents.values.time import now
from tools.testbed.cast import BOB, Api, create_university, make_event
from tools.testbed.index_tables import fill_index_tables
from tools.testbed.settled import settle_all

AT = 1_700_000_000
RARE = 3
FEW, MANY = 300, 2500  # a page would look at 2,000, if it had no index
NAMES = ("Ann", "Bob", "Cleo", "Dan")


def mailing_of(organization_id: ObjectId) -> Mailing:
    fundraiser = Fundraiser.create(organization_id, {"name": "Spring"})
    values = {"fundraiser_id": fundraiser.id, "name": "Appeal"}
    return Mailing.create(organization_id, values)


def fill(mailing: Mailing, number: int) -> Mailing:
    """Create people with an email each: most opened, half clicked, three bounced or left."""
    people, emails = [], []
    for index in range(number):
        name = f"{NAMES[index % 4]} Smith{index:05d}"
        address = f"p{index}@example.edu" if index % 2 else f"{NAMES[index % 4]}.p{index}@x.edu"
        of = {"organization_id": mailing.organization_id}
        user = build_record_row(
            User, name=name, email=address, words=list_search_words(name, address), **of
        )
        user |= {"address": f"{mailing.id}{fold_text(address)}"}
        of |= {"mailing_id": mailing.id, "fundraiser_id": mailing.fundraiser_id}
        email = build_record_row(Email, user_id=user["_id"], sent_at=now(), **of)
        email |= {"opens": 2, "first_opened_at": now()} if index % 10 else {}
        email |= {"clicks": 1, "first_clicked_at": now()} if index % 2 else {}
        if index % (number // RARE) == 7:
            email |= {"bounced_at": now(), "unsubscribed_at": now(), "left": {"all": now()}}
            email |= {"donated": True, "donations_count": 1, "raised": {"USD": 100}}
        people.append(user)
        emails.append(email)
    get_db().users.insert_many(people)
    get_db().emails.insert_many(emails)
    fill_index_tables()
    return mailing


def pages(mailing: Mailing, limit: int = 50, **asked: Any) -> list[list[Recipient]]:
    """Yield all pages in order."""
    found, cursor = [], None
    while True:
        page = list_recipients(mailing, limit=limit, cursor=cursor, **asked)
        found.append(page.rows)
        assert len(page.rows) == limit or page.is_partial or page.next_cursor is None
        if (cursor := page.next_cursor) is None:
            return found


def every(mailing: Mailing, **asked: Any) -> list[Recipient]:
    return [row for page in pages(mailing, **asked) for row in page]


def work(mailing: Mailing, **asked: Any) -> tuple[int, int]:
    """Return the keys and documents that MongoDB examined for the first two pages."""
    database = get_db()
    database.command("profile", 2)
    cursor = list_recipients(mailing, **asked).next_cursor
    if cursor:
        list_recipients(mailing, cursor=cursor, **asked)
    database.command("profile", 0)
    ours = {"ns": {"$not": {"$regex": "profile"}}, "command.listIndexes": {"$exists": False}}
    seen = list(database["system.profile"].find(ours))
    database.drop_collection("system.profile")
    assert seen
    assert not any("SORT" in one["planSummary"] or "COLLSCAN" in one["planSummary"] for one in seen)
    assert not any(one.get("hasSortStage") for one in seen if one["ns"].endswith("emails"))
    keys, documents = (sum(one.get(n, 0) for one in seen) for n in ("keysExamined", "docsExamined"))
    return keys, documents


@pytest.fixture
def alices(real_database: str) -> Mailing:
    return mailing_of(Organization.create("Alice's University").id)


# Each row shows the state of its email's document, and the recipient.
def test_a_recipient_shows_the_state_of_their_email(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    spring = alice.fundraiser()
    mailing_id = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing_id)
    alice.deliver(
        [
            make_event(email, "delivered", AT),
            make_event(email, "open", AT + 60),
            make_event(email, "click", AT + 90, url="https://x.edu/"),
        ]
    )
    alice.gift(spring, 2500, email_id=email)
    settle_all()
    [row] = list_recipients(
        Mailing.fetch(ObjectId(alice.id), mailing_id), did="gave", search="bob"
    ).rows
    stored = Email.fetch(ObjectId(alice.id), email)
    assert row.user
    assert (row.user.name, row.user.email) == (BOB["name"], BOB["email"])
    assert (row.opens, row.clicks, row.donations_count, row.raised) == (1, 1, 1, {"USD": 2500})
    assert (row.first_clicked_at, row.sent_at) == (stored.first_clicked_at, stored.sent_at)
    assert row.bounced_at is row.unsubscribed_at is None


# Pages of any size contain everyone who acted exactly once, newest first, and no one else.
def test_pages_list_everyone_once(alices: Mailing) -> None:
    fill(mailing_of(alices.organization_id), 40)
    fill(alices, 300)
    rows = list(get_db().emails.find({"mailing_id": alices.id}).sort("_id", -1))
    for did in (None, *RECIPIENT_ACTION_FIELDS):
        wanted = [
            row["_id"]
            for row in rows
            if did is None or any(row.get(field) for field in RECIPIENT_ACTION_FIELDS[did])
        ]
        assert wanted
        for limit in (1, 7, 50, 300):
            found = [row.email_id for row in every(alices, did=did, limit=limit)]
            assert found == wanted, (did, limit)


# A search also finds everyone once, even people with several words of the same beginning.
@pytest.mark.parametrize("did", [None, "bounced", "clicked"])
def test_a_search_lists_everyone_once(alices: Mailing, did: RecipientAction | None) -> None:
    fill(alices, 300)
    rows = every(alices, did=did)
    for search in ("b", "bob", "smith000", "x.edu", "p1", "ann smith", "e bob x"):
        wanted = {row.email_id for row in rows if has_words(row, search)}
        for limit in (1, 7, 50):
            found = [row.email_id for row in every(alices, did=did, search=search, limit=limit)]
            assert len(found) == len(wanted), search
            assert set(found) == wanted, search


def has_words(row: Recipient, search: str) -> bool:
    """Return whether each part of a search begins a word of the person's name or address."""
    if row.user is None:
        return False
    words = list_search_words(row.user.name, row.user.email)
    return all(any(word.startswith(part) for word in words) for part in search.split())


# The result is the same when few people match, whom the search examines one by one.
@pytest.mark.parametrize("few", [0, 200])
def test_a_search_finds_the_same_either_way(
    alices: Mailing, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.reports.recipients.MAX_EMAILS_READ_WHOLE", few)
    fill(alices, 100)
    asked: dict[str, Any] = {"search": "smith bob"}
    assert len(every(alices, **asked, limit=4)) == 25
    assert len(every(alices, **asked, did="bounced", limit=1)) == sum(
        row.user is not None and row.user.name.startswith("Bob")
        for row in every(alices, did="bounced")
    )


# Several emails of one mailing to one person are several rows, within and across pages.
def test_a_person_may_have_several_emails(alices: Mailing) -> None:
    fill(alices, 8)
    bob = every(alices, search="bob")[0].user
    assert bob
    values = {"fundraiser_id": alices.fundraiser_id, "mailing_id": alices.id, "user_id": bob.id}
    for _ in range(9):
        record_email(alices.organization_id, values)
    for limit in (1, 2, 5, 50):
        found = [row.email_id for row in every(alices, search="bob", limit=limit)]
        assert len(found) == len(set(found)) == 2 + 9


# A page costs the same among thousands as among hundreds, for rare and common actions.
@pytest.mark.parametrize("did", [None, *RECIPIENT_ACTION_FIELDS])
def test_a_page_costs_the_same_at_any_number(alices: Mailing, did: RecipientAction | None) -> None:
    few = work(fill(mailing_of(alices.organization_id), FEW), did=did)
    many = work(fill(alices, MANY), did=did)
    # Two pages. A user costs three keys, and opens and clicks are searched among all emails.
    assert max(*few, *many) <= 2 * 50 * 3 + 2 * 52 * (4 if did in {"opened", "clicked"} else 1)
    assert many[0] <= few[0] * 1.1 + 2, (few, many)


# A page ends at a limit when very few people have clicked, and later pages find all of them.
def test_rare_actions_are_found(alices: Mailing) -> None:
    emails = get_db().emails
    fill(alices, 9000)
    few = [row["_id"] for row in emails.find({"first_clicked_at": {"$ne": None}})][::1500]
    emails.update_many({"_id": {"$nin": few}}, {"$unset": {"first_clicked_at": ""}})
    keys, documents = work(alices, did="clicked")
    assert max(keys, documents) <= 2 * 2 * 2.5 * MAX_INSPECTED_PEOPLE
    found = pages(alices, did="clicked")
    assert [row.email_id for page in found for row in page] == few[::-1]
    assert 2 <= len(found) <= 4


# A page of a search also has a limit, for a rare name and for a name that a quarter has.
@pytest.mark.parametrize("search", ["smith00007", "bob", "x.edu", "smith00007 bob", "bob smith"])
def test_a_search_costs_the_same_at_any_number(
    alices: Mailing, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.reports.recipients.MAX_INSPECTED_PEOPLE", 100)
    monkeypatch.setattr("documents.reports.recipients.MAX_EMAILS_READ_WHOLE", 50)
    few = work(fill(mailing_of(Organization.create("Small").id), FEW), search=search, limit=10)
    many = work(fill(alices, MANY), search=search, limit=10)
    assert max(*few, *many) <= 750, (few, many)
    # The search counts the matches of two terms, up to a limit, to start with the rarer one.
    assert many[0] <= few[0] * 1.1 + 2 * 100, (few, many)


# A page ends early and reports that, if thousands have the name but no email of the mailing.
def test_a_search_without_matches_ends_and_can_continue(
    alices: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.reports.recipients.MAX_INSPECTED_PEOPLE", 100)
    monkeypatch.setattr("documents.reports.recipients.MAX_EMAILS_READ_WHOLE", 0)
    fill(mailing_of(alices.organization_id), 900)
    fill(alices, 12)
    first = list_recipients(alices, search="smith")
    assert first.is_partial
    assert first.next_cursor
    assert len(every(alices, search="smith")) == 12
    assert 5 < len(pages(alices, search="smith")) < 12


# A click found to be a machine's counts for no one, and a person who resubscribed has not left.
def test_outdated_actions_are_not_found(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    spring = alice.fundraiser()
    id_ = alice.mailing(spring)
    email = alice.email(spring, mailing_id=id_)
    mailing = Mailing.fetch(ObjectId(alice.id), id_)

    def found(did: RecipientAction) -> int:
        settle_all()
        return len(list_recipients(mailing, did=did).rows)

    alice.deliver([make_event(email, "click", AT + 9, url="https://x.edu/")])
    assert found("clicked") == 1
    alice.deliver([make_event(email, "delivered", AT + 10)])  # it arrived after the click
    assert found("clicked") == 0
    alice.deliver([make_event(email, "group_unsubscribe", AT + 20, asm_group_id=1)])
    assert found("left") == 1
    alice.deliver([make_event(email, "group_resubscribe", AT + 30, asm_group_id=1)])
    assert found("left") == 0
    alice.deliver([make_event(email, "spamreport", AT + 40)])
    assert found("left") == 1


# A search uses people's current names and addresses, for every way of storing them.
def test_search_words_follow_changes_of_a_person(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    id_ = alice.mailing(spring)
    mailing = Mailing.fetch(ObjectId(alice.id), id_)
    alice.email(spring, mailing_id=id_)
    user = {"name": "Eve Adams", "email": "eve@x.edu"}
    lines = b'{"fundraiser_id": "%b", "mailing_id": "%b", "user": %b}' % (
        *(spring.encode(), id_.encode()),
        b'{"name": "Eve Adams", "email": "eve@x.edu"}',
    )
    headers = {"Content-Type": "application/x-ndjson"}
    assert alice.call("POST", "/v1/emails/import", body=lines, headers=headers).status == 200
    [[bob], [eve]] = (list_recipients(mailing, search=name).rows for name in ("bob", "adams"))
    assert bob.user
    assert eve.user
    assert user == {"name": eve.user.name, "email": eve.user.email}
    User.fetch(ObjectId(alice.id), bob.user.id).amend({"name": "Robert Baker"})
    User.fetch(ObjectId(alice.id), eve.user.id).amend({"email": "adams@y.edu"})
    assert [len(every(mailing, search=name)) for name in ("robert", "bob", "x.edu", "y.edu")] == [
        *(1, 1, 0, 1)  # his address is still bob@…
    ]


# An erased person is a row without a name, which no search finds.
def test_an_erased_person_has_no_name(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    id_ = alice.mailing(spring)
    mailing = Mailing.fetch(ObjectId(alice.id), id_)
    alice.email(spring, mailing_id=id_)
    bob = list_recipients(mailing).rows[0].user
    assert bob
    assert alice.call("DELETE", f"/v1/users/{bob.id}?erase=true").status == 204
    assert list_recipients(mailing, search="bob").rows == []
    assert [row.user for row in list_recipients(mailing).rows] == [None]


# A deleted person leaves no word behind.
def test_a_deleted_person_is_not_found(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    id_ = alice.make("users", **BOB)["id"]
    assert alice.call("DELETE", f"/v1/users/{id_}").status == 204
    assert not (get_db().users.find_one({"_id": ObjectId(id_)}) or {}).get("words")


# Charlie's people never appear for Alice, nor Alice's for Charlie, in any query.
def test_charlie_sees_only_his_own_recipients(alices: Mailing) -> None:
    fill(alices, 40)
    charlies = fill(mailing_of(Organization.create("Charlie's University").id), 8)
    for asked in ({}, {"search": "bob"}, {"did": "clicked"}):
        mine = {row.user.id for row in every(charlies, **asked) if row.user}
        assert mine <= {user.id for user in User.live(charlies.organization_id)}
        assert len(mine) == len(every(charlies, **asked)) in {2, 4, 8}
        with act_for(charlies.organization_id):
            assert every(alices, **asked) == []
    cursor = list_recipients(alices, limit=2).next_cursor
    with pytest.raises(InvalidCursor):
        list_recipients(charlies, cursor=cursor)


# Any typed search is plain text, and finds people or no one.
@pytest.mark.parametrize(
    "search",
    [
        *(".*", "^bob", "(", "[b", "\\", "$where", "b*", "\x00", "bob\x00", "\ud800", "\ud800bob"),
        *("x" * 1000, "b " * 500, " ".join(map(chr, range(0x4E00, 0x4E00 + 490))), "\U0010ffff"),
    ],
)
def test_any_text_can_be_searched(alices: Mailing, search: str) -> None:
    fill(alices, 12)
    found = every(alices, search=search)
    assert len(found) in {0, 3, 12}
    assert list_recipients(alices, did="left", search=search).rows is not None


# A cursor must contain a valid position in the search.
@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, "", "{}", "[]", '["x"]', '["bob", "adam", "%s"]', '["eve", "eve", "%s"]'),
        *('["bob", "bob", null]', '["bob", "bob\\ud800", "%s"]', '["bob", ["bob"], "%s"]'),
        *("[" * 9000, '["bob", "bob", "%s", 1]'),
    ],
)
def test_a_cursor_without_a_position_is_rejected(alices: Mailing, value: Any) -> None:
    fill(alices, 12)
    cursor = list_recipients(alices, search="bob", limit=1).next_cursor
    assert cursor
    made_for = json.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    value = value.replace("%s", "a" * 24) if isinstance(value, str) else value
    with pytest.raises(InvalidCursor):
        list_recipients(alices, search="bob", cursor=encode_cursor([made_for, value, ObjectId()]))


# A cursor is valid only for the list it was made for.
def test_a_cursor_of_another_list_is_rejected(alices: Mailing) -> None:
    fill(alices, 40)
    asked: list[dict[str, Any]] = [{}, {"did": "opened"}, {"search": "smith"}, {"search": "x.edu"}]
    cursors = [list_recipients(alices, limit=2, **one).next_cursor for one in asked]
    garbage = ["", "x", "é", "\ud800", "W10", "e30", "WzEsMiwzXQ", "A" * 5000, None]
    for one, own in zip(asked, cursors, strict=True):
        assert own
        for cursor in [*cursors, *garbage, own[:-3], own + "AA"]:
            if cursor in (own, None):
                continue
            with pytest.raises(InvalidCursor):
                list_recipients(alices, cursor=cursor, **one)
