"""Every list is read from an index, and every page costs the same."""

from collections.abc import Iterator
from typing import Any, get_args

import mongoengine
import pytest
from bson import ObjectId
from mongoengine import get_db

from config import database
from documents.access.api_key import ApiKey
from documents.access.audit import AuditEntry
from documents.donation import Donation
from documents.email import Email
from documents.fundraiser import Fundraiser
from documents.link import Link
from documents.mailing import Mailing
from documents.match import MATCH_INDEX
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.payments.payment import Payment
from documents.storage.pagination import list_page
from documents.storage.record import Record, build_record_row
from documents.user import User
from documents.values.time import now
from service.api.fields import ListQuery
from service.api.resources.api_keys import ApiKeyQuery
from service.api.resources.audit import AuditQuery
from service.api.resources.donations import DonationQuery
from service.api.resources.emails import EmailQuery
from service.api.resources.fundraisers import FundraiserQuery
from service.api.resources.mailings import LinkQuery, MailingQuery
from service.api.resources.payments import PaymentQuery
from service.api.resources.users import UserQuery
from service.api.resources.webhook_endpoints import WebhookEndpointQuery
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.index_tables import fill_index_tables

ORGANIZATION, OTHER, PARENT = ObjectId(), ObjectId(), ObjectId()
LISTS: dict[Any, type[ListQuery]] = {
    User: UserQuery,
    Fundraiser: FundraiserQuery,
    Mailing: MailingQuery,
    Email: EmailQuery,
    Donation: DonationQuery,
    ApiKey: ApiKeyQuery,
    WebhookEndpoint: WebhookEndpointQuery,
    Link: LinkQuery,
    AuditEntry: AuditQuery,
    Payment: PaymentQuery,
}
ROWS, LIMIT, PAGES = 400, 10, 20
# A cursor has up to three ranges, which MongoDB reads ahead and merges. MongoDB lets this plan race
# against a scan of the index from its beginning. For the first six or seven pages, both take
# equally few steps. A scan from the beginning reads more than 200 records for the last page.
MARGIN = 100
UNIQUE = {"email", "external_id"}
VALUES = {
    "email": "user7@example.edu",
    "name": "Name 7",
    "donated": True,
    "status": "refunded",
    "match": "none",
    "external_id": "external-7",
    "actor": "key:1",
    "reason": "no_fundraiser",
}


def row(document: Any, number: int, organization_id: ObjectId) -> dict[str, Any]:
    made: dict[str, Any] = (
        build_record_row(document) if issubclass(document, Record) else {"_id": ObjectId()}
    )
    shared = {
        "organization_id": organization_id,
        "fundraiser_id": PARENT,
        "mailing_id": PARENT,
        "user_id": PARENT,
        "email_id": PARENT,
        "name": f"Name {number}",
        "email": f"user{number}@example.edu",
        "address": f"user{number}@example.edu",
        "external_id": f"external-{number}",
        "import_key": f"import-{number}",
        "digest": f"{organization_id}{number}",
        "amount": number,
        "donated_at": now(),
        "donations_count": number % 5,
        "emails_count": number % 3,
        "clicks": number % 7 + 1,
        "donated": number % 4 == 0 if document is Email else {},
        "status": "refunded" if number % 9 == 0 else "succeeded",
        "match": "none" if number % 8 == 0 else "link",
        "sent_at": now() if number % 2 else None,
        "record": str(PARENT),
        "actor": "key:1",
        "seq": number + 1,
        "public_id": ObjectId(),
        "reason": REASONS[number % len(REASONS)],
    }
    if document is Payment:
        made["_id"] = f"{organization_id}:stripe:pi_{number}"
        shared |= {"created_at": now(), "donation_id": PARENT}
    return made | {name: shared[name] for name in shared if name in document._fields}


@pytest.fixture
def commands(real_database: str, document: Any) -> CommandRecorder:
    """Insert four hundred records for two organizations, and record all queries."""
    rows = [row(document, n, owner) for n in range(ROWS) for owner in (ORGANIZATION, OTHER)]
    get_db()[document._get_collection_name()].insert_many(rows)
    if document is Donation:
        get_db().matches.insert_many(map(MATCH_INDEX.row, rows))
    fill_index_tables()
    mongoengine.disconnect_all()
    listener = CommandRecorder()
    database.connect_database(event_listeners=[listener])
    return listener


REASONS = ["no_fundraiser", "unknown_fundraiser", "not_paid", "no_amount", None]
PAYMENT_STATUSES = ("assigned", "incomplete", "unassigned")


def list_cases(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each filter of a list with a sort order, and each sort order without a filter."""
    query = LISTS[document]
    fields = query.model_fields
    if document is Payment:
        yield from (({"status": one}, "created_at") for one in PAYMENT_STATUSES)
    for sort in get_args(fields["sort"].annotation):
        yield {}, sort
    for name in sorted(fields.keys() - {"limit", "cursor", "sort"}):
        if document is Payment and name == "status":
            yield {"status": "unassigned"}, "-created_at"
        # See outcomes/test_arm_lists.py: pages by arm read a mailing's index.
        elif not (document is Email and name == "arm"):
            sort = fields["sort"].default if document is AuditEntry else "-created_at"
            yield {name: VALUES.get(name, PARENT)}, sort


def stages(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan["stage"]
        for inner in plan.values():
            yield from stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from stages(inner)


@pytest.mark.parametrize("document", LISTS, ids=lambda document: str(document.__name__))
def test_a_page_is_read_only_from_an_index(commands: CommandRecorder, document: Any) -> None:
    for given, sort in list_cases(document):
        commands.sent.clear()
        read_pages(document, given, sort)
        # The progress of migrations is one small record.
        read = [one for one in commands.sent if one.get("find") != "migrations"]
        finds = [command for command in read if read_command_name(command) == "find"]
        assert finds, (given, sort)
        # A unique value selects one record, in any order.
        rejected = {"COLLSCAN"} if given.keys() & UNIQUE else {"COLLSCAN", "SORT"}
        for command in finds:
            assert_reads_an_index(command, rejected)


def read_pages(document: Any, given: dict[str, Any], sort: str) -> None:
    minus, name = ("-" if sort.startswith("-") else ""), sort.removeprefix("-")
    filters = document.filters(given) | ({"mailing_id": PARENT} if document is Link else {})
    cursor = None
    for _ in range(PAGES):
        found = list_page(
            document,
            ORGANIZATION,
            filters=filters,
            sort=minus + ("_id" if name == "created_at" else name),
            limit=LIMIT,
            cursor=cursor,
        )
        if (cursor := found.next_cursor) is None:
            break


def assert_reads_an_index(command: dict[str, Any], rejected: set[str]) -> None:
    asked = {name: command[name] for name in ("find", "filter", "sort", "limit") if name in command}
    told = get_db().command("explain", asked, verbosity="executionStats")
    seen = told["executionStats"]
    used = set(stages(told["queryPlanner"]["winningPlan"]))
    assert not used & rejected, (used, asked)
    assert seen["totalDocsExamined"] <= 3 * LIMIT + MARGIN, (seen["totalDocsExamined"], asked)
    assert seen["totalKeysExamined"] <= 3 * LIMIT + MARGIN, (seen["totalKeysExamined"], asked)
