"""Charlie tries every route, verb and field that takes an ID with Alice's records.

He receives the same responses as for missing records. He writes nothing of Alice's and changes none
of her counters. Every command that his requests send to MongoDB names his organization.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mongoengine
import pytest
from bson import ObjectId
from cryptography.hazmat.primitives.asymmetric import ec
from falcon import testing
from mongoengine import get_db
from pymongo.database import Database

from config import database
from config.database import DatabaseClient
from documents.access.staff import Staff
from documents.email import Email
from documents.providers.registry import EMAIL_PROVIDERS
from documents.providers.sendgrid import SIGNATURE_HEADER
from documents.values.fields import format_time
from documents.values.time import now
from documents.webhook_key import SHARED_ACCOUNTS_ID, WebhookKey
from service.api.openapi import list_operations
from service.api.operation import NoQuery, Operation
from service.routes import API_ROUTES, DASHBOARD_ROUTES
from tools.testbed.cast import (
    BOB,
    UNKNOWN_ID,
    Api,
    ApiAnswer,
    University,
    create_university,
    export_public_key,
    make_event,
    sign_webhook,
)
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.pages import Browser, add_staff, upload_file
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

# Collections that belong to no organization, or are queried before the organization is known.
BEFORE_OR_BESIDE = {
    *("organizations", "api_keys", "link_keys", "gift_days", "recounts"),
    *("journal_progress", "migrations"),  # of the whole database
    *("accounts", "staff", "staff_sessions", "sign_in_links"),
    "password_reset_links",
}
# The ID of a gift day names its fundraiser or mailing, and so does the target of some sums.
NAMED_ID_PATTERN = re.compile(r"(?:fundraiser|mailing|changes):([0-9a-f]{24})(?::.+)?")
FILTERS = ("filter", "query", "q")


@dataclass
class World:
    """Two universities, their records by noun, and the commands sent to the database."""

    alice: University
    charlie: University
    hers: dict[str, str]
    his: dict[str, str]
    commands: CommandRecorder
    look: Database[dict[str, Any]]  # a connection of the test's own, without the listener


@pytest.fixture
def world(real_database: str) -> Iterator[World]:
    mongoengine.disconnect_all()
    commands = CommandRecorder()
    database.connect_database(event_listeners=[commands])
    from service.app import create_app

    api = Api.in_process(testing.TestClient(create_app()))
    alice, charlie = create_university("Alice's", api), create_university("Charlie's", api)
    hers, his = furnish(alice), furnish(charlie)
    settle_all()
    fail(hers)
    fail(his)
    commands.sent.clear()
    with DatabaseClient(real_database, tz_aware=True) as mongo:
        yield World(alice, charlie, hers, his, commands, mongo.get_default_database())
    mongoengine.disconnect_all()


EXPERIMENT_ARMS = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]


def furnish(place: University) -> dict[str, str]:
    """Create one record of each kind, with identical client-chosen names for both."""
    place.set_webhook_key()
    spring = place.fundraiser()
    mailing = place.mailing(spring)
    email = place.email(spring, mailing_id=mailing)
    empty = place.email(spring, {"name": "Eve", "email": "eve@example.edu"})
    endpoint = place.make("webhook-endpoints", url="https://crm.example.edu/")["id"]
    at = int(time.time())
    place.deliver([make_event(email, "click", at, url="https://example.edu/give")])
    gift = place.gift(spring, external_id="gift-1", recurring_id="plan-1", email_id=email)
    set_stripe_secret(place)
    post_stripe_event(place, make_charge_event("succeeded"))
    place.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": EXPERIMENT_ARMS})
    settle_all()
    return {
        "payments": place.get("/v1/payments")["data"][0]["id"],
        "fundraisers": spring,
        "mailings": mailing,
        "emails": email,
        "users": place.get(f"/v1/emails/{empty}")["user_id"],
        "donations": gift,
        "failed": empty,
        "api-keys": place.make("api-keys", name="form", scopes=["read"])["id"],
        "imports": upload_file(place.id),
        "webhook-endpoints": endpoint,
        "deliveries": place.get(f"/v1/webhook-endpoints/{endpoint}/deliveries")["data"][0]["id"],
        "link_token": place.get(f"/v1/emails/{email}")["link_token"],
    }


def fail(ids: dict[str, str]) -> None:
    trouble = {"error": "ValueError", "tries": 5, "failed_at": Email.objects.first().created_at}
    where = {"_id": ObjectId(ids["failed"])}
    get_db().emails.update_one(where, {"$set": {"trouble": trouble}, "$unset": {"due": ""}})


def bodies(ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return a valid body of each model, with the university's own IDs."""
    return {
        "UserIn": {"name": "New", "email": f"{ObjectId()}@example.edu"},
        "UserPatch": {"name": "Renamed"},
        "FundraiserIn": {"name": "New"},
        "FundraiserPatch": {"name": "Renamed"},
        "MailingIn": {"name": "New", "fundraiser_id": ids["fundraisers"]},
        "MailingPatch": {"name": "Renamed"},
        "ExperimentIn": {"arms": EXPERIMENT_ARMS},
        "EmailIn": {
            "fundraiser_id": ids["fundraisers"],
            "mailing_id": ids["mailings"],
            "user_id": ids["users"],
        },
        "DonationIn": {
            "fundraiser_id": ids["fundraisers"],
            "amount": 100,
            "currency": "USD",
            "donor": BOB,
            "email_id": ids["emails"],
        },
        "DonationPatch": {"refunded_amount": 1},
        "PinIn": {"email_id": ids["emails"]},
        "AssignmentIn": {"fundraiser_id": ids["fundraisers"]},
        "PolicyIn": {"window_seconds": 60},
        "ApiKeyIn": {"name": "New", "scopes": ["read"]},
        "WebhookEndpointIn": {"url": "https://crm.example.edu/"},
        "WebhookEndpointPatch": {"description": "New"},
    }


NOUN_OF_FIELD = {
    "fundraiser_id": "fundraisers",
    "mailing_id": "mailings",
    "user_id": "users",
    "email_id": "emails",
}
# These strings are not record IDs. They name the caller's own records, even if others use the same.
OWN_NAMES = {"external_id", "recurring_id"}


def id_fields(model: Any) -> set[str]:
    return {name for name in model.model_fields if name.endswith("_id")} - OWN_NAMES


def plain(answer: ApiAnswer) -> Any:
    """Remove from a response what differs between requests."""
    if not answer.content:
        return answer.status, None
    value = json.loads(answer.content)
    for volatile in (
        "instance",
        "id",
        "created_at",
        "updated_at",
        "donated_at",
        "link_token",
        "trap_token",
    ):
        value.pop(volatile, None)
    return answer.status, value


def everything_of_alice(world: World) -> dict[str, Any]:
    """Return all stored data of Alice's organization, except when its key was used.

    Also except the notes of rejected webhook requests, which have no content of a request.
    """
    owner = ObjectId(world.alice.id)
    stored = {
        name: list(world.look[name].find({"organization_id": owner}).sort("_id", 1))
        for name in world.look.list_collection_names()
        if name not in {"api_keys", "system.profile", "webhook_rejections"}
    }
    return stored | {"organizations": world.look.organizations.find_one({"_id": owner})}


def with_id(path: str, ids: dict[str, str]) -> tuple[str, str]:
    """Return the path with someone's ID, and with an unused ID."""
    noun = path.split("/")[2] if "/jobs/" not in path else "failed"
    named = path.replace("{id}", ids[noun]).replace("{delivery_id}", ids["deliveries"])
    return named, path.replace("{id}", UNKNOWN_ID).replace("{delivery_id}", UNKNOWN_ID)


def routes() -> Iterator[tuple[str, str, Operation]]:
    for path, verb, declared, _ in list_operations(API_ROUTES):
        yield path, verb.upper(), declared


PATHS_OF_TIMES = {"/v1/fundraisers/{id}/changes"}


def test_every_path_with_a_foreign_id_is_404(world: World) -> None:
    before = everything_of_alice(world)
    walked = 0
    for path, verb, declared in routes():
        if "{id}" not in path:
            continue
        body = bodies(world.his)[declared.body.__name__] if declared.body else None
        hers, nobodys = with_id(path, world.hers)
        erase = ["?erase=true"] if path == "/v1/users/{id}" and verb == "DELETE" else []
        needed = [f"?from={format_time(now())}"] if path in PATHS_OF_TIMES else [""]
        for query in [*needed, *erase]:
            seen = [world.charlie.call(verb, at + query, body) for at in (hers, nobodys)]
            assert plain(seen[0]) == plain(seen[1]), (verb, path)
            assert seen[0].status == 404, (verb, path)
            assert seen[0].headers.keys() == seen[1].headers.keys()
            own = world.charlie.call("GET", with_id(path, world.his)[0] + query)
            assert own.status in {200, 400, 405}  # an error in the body, not in the path
        walked += 1
    assert walked >= 25
    assert everything_of_alice(world) == before
    check_commands(world)


def test_every_field_treats_a_foreign_id_as_missing(world: World) -> None:
    before = everything_of_alice(world)
    walked = set()
    for path, verb, declared in routes():
        if declared.body is None or not declared.scope:
            continue
        at = with_id(path, world.his)[0] if "{id}" in path else path
        for name in sorted(id_fields(declared.body)):
            foreign = {"hers": world.hers[NOUN_OF_FIELD[name]], "nobody's": UNKNOWN_ID}
            if name == "email_id":
                foreign["her token"] = world.hers["link_token"]
            fresh = bodies(world.his)[declared.body.__name__]
            seen = {
                whose: world.charlie.call(verb, at, fresh | {name: id_})
                for whose, id_ in foreign.items()
            }
            first = plain(seen["hers"])
            assert all(plain(answer) == first for answer in seen.values()), (path, name)
            # A gift may carry any value from its link; every other field names a record.
            assert first[0] == (
                201 if declared.body.__name__ == "DonationIn" and name == "email_id" else 422
            )
            walked.add((path, name))
    assert len(walked) >= 7
    check_commands(world)
    settle_all()
    assert everything_of_alice(world) == before
    matched = {
        row["email_id"]
        for row in world.look.donations.find({"organization_id": ObjectId(world.charlie.id)})
        if row.get("email_id")
    }
    assert matched <= {ObjectId(world.his["emails"])}


def test_every_filter_with_a_foreign_id_finds_nothing(world: World) -> None:
    walked = 0
    for path, _, declared in routes():
        if declared.query is NoQuery or not declared.scope or "{" in path:
            continue
        for name in sorted(id_fields(declared.query)):
            value = world.hers[NOUN_OF_FIELD[name]]
            hers = world.charlie.call("GET", f"{path}?{name}={value}")
            nobodys = world.charlie.call("GET", f"{path}?{name}={UNKNOWN_ID}")
            empty: dict[str, Any] = {"data": [], "next_cursor": None}
            nothing = None if declared.is_export else empty
            assert plain(hers) == plain(nobodys) == (200, nothing)
            walked += 1
        listed = (
            world.charlie.call("GET", path).content.decode() if declared.answers.get(200) else ""
        )
        assert not [id_ for id_ in world.hers.values() if id_ in listed]
    assert walked >= 7
    check_commands(world)


def test_import_lines_name_only_own_records(world: World) -> None:
    before = everything_of_alice(world)
    lines, gifts = {}, {}
    for whose, ids in (("hers", world.hers), ("nobody's", dict.fromkeys(world.hers, UNKNOWN_ID))):
        rows = [
            {"fundraiser_id": ids["fundraisers"], "user": BOB},
            {"fundraiser_id": world.his["fundraisers"], "mailing_id": ids["mailings"], "user": BOB},
            {"fundraiser_id": world.his["fundraisers"], "user_id": ids["users"]},
        ]
        lines[whose] = import_lines(world.charlie, "emails", rows)
        money = {"amount": 100, "currency": "USD"}
        rows = [
            {"fundraiser_id": ids["fundraisers"], **money},
            {"mailing_id": ids["mailings"], **money},
            {"fundraiser_id": world.his["fundraisers"], "mailing_id": ids["mailings"], **money},
        ]
        gifts[whose] = import_lines(world.charlie, "donations", rows)
    for answers in (lines, gifts):
        assert answers["hers"] == answers["nobody's"]
        assert answers["hers"][1]["refused_count"] == 3
    assert everything_of_alice(world) == before
    check_commands(world)


def test_imports_find_only_own_records(world: World) -> None:
    """Charlie imports the same people and external IDs as Alice has."""
    before = everything_of_alice(world)
    _, answer = import_lines(world.charlie, "users", [{"name": "E", "email": "new@example.edu"}])
    assert answer["created"] == 1
    alice = world.look.donations.find_one({"_id": ObjectId(world.hers["donations"])}) or {}
    world.look.donations.delete_many({"organization_id": ObjectId(world.charlie.id)})
    gift = {"fundraiser_id": world.his["fundraisers"], "amount": 100, "currency": "USD"}
    _, answer = import_lines(
        world.charlie, "donations", [{**gift, "external_id": alice["external_id"]}, gift]
    )
    assert answer["created"] == 2
    assert everything_of_alice(world) == before
    check_commands(world)


def import_lines(place: University, records: str, rows: list[Any]) -> Any:
    body = "\n".join(map(json.dumps, rows)).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    return plain(place.call("POST", f"/v1/{records}/import", body=body, headers=headers))


def test_webhooks_of_other_organizations_behave_as_without_a_key(world: World) -> None:
    before = everything_of_alice(world)
    body = json.dumps([make_event(world.hers["emails"], "open", 1_700_000_000)]).encode()
    for path, _, _ in routes():
        if "{organization_id}" not in path:
            continue
        headers = sign_webhook(world.charlie.signing_key, body)
        assert SIGNATURE_HEADER in headers
        seen = [
            world.charlie.call(
                "POST", path.replace("{organization_id}", id_), body=body, headers=headers
            )
            for id_ in (world.alice.id, UNKNOWN_ID)
        ]
        assert plain(seen[0]) == plain(seen[1])
        assert seen[0].status == 401
    # His own post may contain her email's ID. The event stays his, and has no email.
    reported = make_event(world.hers["emails"], "open", 1_700_000_000)
    assert world.charlie.deliver([reported]).status == 202
    settle_all()
    assert everything_of_alice(world) == before


def test_no_organization_can_post_to_a_shared_account(world: World) -> None:
    before, posted = everything_of_alice(world), 0
    body = json.dumps([make_event(world.hers["emails"], "open", 1_700_000_000)]).encode()
    for path, verb, declared in routes():
        if not declared.signed_by or "{" in path:
            continue
        for place in (world.alice, world.charlie):
            headers = sign_webhook(place.signing_key, body)
            assert place.call(verb, path, body=body, headers=headers).status == 401
        posted += 1
    assert posted == len(EMAIL_PROVIDERS)
    settle_all()
    assert everything_of_alice(world) == before
    assert world.look.shared_posts.find_one() is None


def test_a_shared_account_writes_only_to_the_organization_of_each_email(world: World) -> None:
    """Everything that names Alice's emails in one post with Charlie's reaches only her."""
    account = ec.generate_private_key(ec.SECP256R1())
    WebhookKey.put(SHARED_ACCOUNTS_ID, "sendgrid", export_public_key(account))
    before = everything_of_alice(world)
    his = make_event(world.his["emails"], "open", 1_700_000_000)
    unknown = make_event(UNKNOWN_ID, "open", 1_700_000_000, category=world.hers["mailings"])
    nameless = {**unknown, "email_id": "", "sg_message_id": f"message-{world.hers['emails']}"}
    both = make_event(f"{world.hers['emails']} {world.his['emails']}", "open", 1_700_000_000)
    post_shared(world, account, [his, unknown, nameless, both])
    settle_all()
    assert everything_of_alice(world) == before
    assert world.look.shared_posts.find_one({}, {"items": 1, "_id": 0}) == {"items": 3}
    post_shared(world, account, [his, make_event(world.hers["link_token"], "open", 1_700_000_000)])
    settle_all()
    after = everything_of_alice(world)
    assert len(after["deliveries"]) == len(before["deliveries"]) + 1
    texts = [bytes(row["body"]).decode() for row in after["deliveries"]]
    assert not [text for text in texts if world.his["emails"] in text]


def post_shared(world: World, account: ec.EllipticCurvePrivateKey, events: list[Any]) -> None:
    body = json.dumps(events).encode()
    path, headers = "/v1/webhooks/sendgrid", sign_webhook(account, body)
    assert world.charlie.api.call("POST", path, body=body, headers=headers).status == 202


@pytest.mark.parametrize("belongs_to", ["his", "both"])
def test_every_page_queries_only_own_records(world: World, belongs_to: str) -> None:
    """A person who belongs to both organizations sees only the one that the browser shows.

    test_dashboard.py covers what the pages show and accept of other organizations.
    """
    from service.app import create_app

    add_staff(world.charlie.id, "charlie@example.edu")
    if belongs_to == "both":
        Staff.add(ObjectId(world.alice.id), "Charlie", "charlie@example.edu", "admin")
    world.commands.sent.clear()
    browser = Browser(testing.TestClient(create_app()))
    browser.sign_in("charlie@example.edu")
    assert ("/dashboard/organization" in browser.get("/dashboard").text) == (belongs_to == "both")
    walked = 0
    for path, resource, suffix in DASHBOARD_ROUTES:
        if not hasattr(resource, f"on_get_{suffix}" if suffix else "on_get"):
            continue
        for ids in (world.his, world.hers):
            at = path.replace("{table}", "mailings" if "fundraisers" in path else "links")
            if "{id}" in at:
                noun = path.split("/")[2]
                noun = PAGE_NOUNS.get(noun, noun)
                at = at.replace("{id}", ids[noun]).replace("{delivery_id}", ids["deliveries"])
            for query in QUERIES.get(path, [""]):
                answer = browser.get(at, query_string=query.format(now=format_time(now()), **ids))
                assert answer.status_code in {200, 303, 404, 422}, (at, answer.status_code)
        walked += 1
    assert walked >= 15
    # The live pages' thread may query at any moment how far behind counting is. That time is about
    # the whole service.
    check_commands(world, but=is_of_the_watching_thread)


def is_of_the_watching_thread(command: Mapping[str, Any]) -> bool:
    """Return whether the command looks for records that wait, except postponed ones."""
    return {"trouble.retry_at": None} in command.get("filter", {}).get("$or", ())


PAGE_NOUNS = {"people": "users", "gifts": "donations", "settings": "webhook-endpoints"}
RECIPIENT_QUERIES = ["did=clicked", "did=left", "q=bob", "q=bob+example&did=gave"]
# Parameters that make a page read more.
QUERIES = {
    "/dashboard": ["", "q=spring&sort=-raised"],
    "/dashboard/gifts": [
        f"match={match}" for match in ("none", "link", "address", "pinned", "all")
    ],
    "/dashboard/fundraisers/{id}": ["", "period=whole", "from=2020-01-01", "as_of={now}"],
    "/dashboard/fundraisers/{id}/changes": ["", "from={now}"],
    "/dashboard/fundraisers/{id}/{table}.csv": ["", "as_of={now}"],
    "/dashboard/mailings/{id}": [
        "",
        "period=whole",
        "as_of={now}",
        "did=clicked",
        "did=left",
        "q=bob",
        "q=bob+example&did=gave",
    ],
    "/dashboard/gifts.csv": ["match=none", "match=link", "match=all"],
    "/dashboard/gifts.xlsx": ["match=link", "match=all"],
    "/dashboard/mailings/{id}/recipients.csv": ["", "did=clicked", "did=left", "q=bob&did=gave"],
    "/dashboard/settings/webhook-endpoints/{id}": ["", "state=failed", "state=pending"],
    "/dashboard/live": ["watch=fundraisers:{fundraisers},users:{users},new_donations:{donations}"],
}


def test_names_chosen_by_clients_belong_to_their_organization(world: World) -> None:
    before = everything_of_alice(world)
    his = bodies(world.his)["DonationIn"]
    hers = bodies(world.hers)["DonationIn"]
    # Both have a gift of this name, and a plan, and a user with this address, from furnish().
    for name in ("external_id", "recurring_id"):
        hers[name] = his[name] = "once-more"
    headers = {"Idempotency-Key": "the-same"}
    mine = world.alice.call("POST", "/v1/donations", hers, headers=headers)
    his_own = world.charlie.call("POST", "/v1/donations", his, headers=headers)
    assert (mine.status, his_own.status) == (201, 201)
    assert "idempotency-replayed" not in his_own.headers
    assert mine.json["id"] != his_own.json["id"]
    settle_all()
    after = everything_of_alice(world)
    assert len(after["donations"]) == len(before["donations"]) + 1
    assert {row["organization_id"] for row in after["donations"]} == {ObjectId(world.alice.id)}


def test_uniqueness_applies_within_an_organization(world: World) -> None:
    """Except digests of API keys and addresses of accounts, which belong to no organization."""
    unique = [
        (name, [field for field, _ in index["key"]])
        for name in world.look.list_collection_names()
        for index in world.look[name].index_information().values()
        if index.get("unique")
    ]
    assert len(unique) > 5
    beside = [one for one in unique if one[1][0] != "organization_id"]
    # Signing in names no organization either.
    accounts = [("accounts", ["address"]), ("api_keys", ["digest"]), ("staff", ["address"])]
    assert sorted(beside) == accounts


def ids_in(value: Any) -> set[ObjectId]:
    if isinstance(value, ObjectId):
        return {value}
    if isinstance(value, str) and (of := NAMED_ID_PATTERN.fullmatch(value)):
        return {ObjectId(of[1])}
    if isinstance(value, dict):
        return {id_ for inner in value.values() for id_ in ids_in(inner)}
    if isinstance(value, list | tuple):
        return {id_ for inner in value for id_ in ids_in(inner)}
    return set()


def conditions(command: dict[str, Any]) -> Iterator[Any]:
    """Yield the conditions of a command, or the values that it stores."""
    yield from (command[name] for name in FILTERS if name in command)
    yield from (one["q"] for name in ("updates", "deletes") for one in command.get(name, ()))
    yield from command.get("documents", ())
    if "pipeline" in command:
        yield command["pipeline"][0]


def is_of_an_organization(command: dict[str, Any]) -> bool:
    collection = command[read_command_name(command)]
    is_ours = command.get("$db") == get_db().name and isinstance(collection, str)
    return is_ours and collection not in BEFORE_OR_BESIDE


def check_commands(
    world: World, but: Callable[[Mapping[str, Any]], bool] = lambda command: False
) -> None:
    """Check that every command names Charlie's organization or one of his records."""
    owner = ObjectId(world.charlie.id)
    his = {
        row["_id"]
        for name in world.look.list_collection_names()
        for row in world.look[name].find({"organization_id": owner}, {"_id": 1})
    }
    asked = [
        command
        for command in list(world.commands.sent)
        if is_of_an_organization(command) and not but(command)
    ]
    foreign = [
        (next(iter(command.items())), condition)
        for command in asked
        for condition in conditions(command)
        if not ids_in(condition) & {owner, *his}
    ]
    assert asked
    assert not foreign, foreign[:5]
