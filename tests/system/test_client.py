"""The Python client: its types match the service's responses, and repeated calls are safe."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from threading import Event
from typing import Any, get_type_hints

import httpx
import pytest
from mongoengine import get_db

from matchback import records, report_records
from matchback.client import Matchback, Refused, Unreachable
from matchback.records import DonationLine, Giver, NewArm, Person
from service.api.openapi import build_openapi_document
from service.routes import API_ROUTES
from tools.testbed.cast import BOB, UNKNOWN_ID, University, create_university
from tools.testbed.stack import Stack, wait_until
from tools.testbed.stripe_events import make_invoice_event, post_stripe_event, set_stripe_secret

PERSON: Person = {"name": BOB["name"], "email": BOB["email"]}
GIVER: Giver = {"name": BOB["name"], "email": BOB["email"]}
Handler = Callable[[httpx.Request], httpx.Response]
# The client's types, by schema of the OpenAPI document.
SAME = {
    records.Organization: "OrganizationOut",
    records.OrganizationChanges: "OrganizationPatch",
    records.User: "UserOut",
    records.UserChanges: "UserPatch",
    records.Fundraiser: "FundraiserOut",
    records.FundraiserChanges: "FundraiserPatch",
    records.Mailing: "MailingOut",
    records.MailingChanges: "MailingPatch",
    records.Experiment: "ExperimentOut",
    records.ExperimentValues: "ExperimentIn",
    records.ExperimentSegments: "ExperimentValues",
    records.ExperimentValue: "ExperimentValue",
    records.ValueArm: "ValueArm",
    records.Link: "LinkOut",
    records.NewEmail: "EmailIn",
    records.Email: "EmailOut",
    records.Imported: "Imported",
    records.ImportedEmails: "ImportedEmails",
    records.ArmLines: "ArmLines",
    records.RefusedLine: "RefusedLine",
    records.NewDonation: "DonationIn",
    records.DonationChanges: "DonationPatch",
    records.Donation: "DonationOut",
    records.Giver: "Giver",
    records.Payment: "PaymentOut",
    records.Explained: "MatchOut",
    records.PolicyValues: "PolicyIn",
    records.Policy: "PolicyOut",
    records.ApiKey: "ApiKeyOut",
    records.NewApiKey: "NewApiKey",
    records.FailedJob: "FailedJobOut",
    records.AuditEntry: "AuditEntryOut",
    records.Money: "Money",
    report_records.Report: "Report",
    report_records.MailingLine: "MailingLine",
    report_records.DonationFigures: "DonationFigures",
    report_records.RecurringFigures: "RecurringFigures",
    report_records.DayLine: "DayLine",
    report_records.HourLine: "HourLine",
    report_records.Delays: "Delays",
    report_records.DelayClass: "DelayClass",
    report_records.RuleSum: "RuleSum",
    report_records.Sensitivity: "Sensitivity",
    report_records.PeriodSum: "PeriodSum",
    report_records.Period: "PeriodFigures",
    report_records.SegmentTable: "SegmentTable",
    report_records.SegmentLine: "SegmentLine",
    report_records.GiftChange: "GiftChangeOut",
    report_records.CountedGift: "CountedGiftOut",
    report_records.KindTotals: "KindTotals",
    report_records.Explanation: "Explanation",
}


@pytest.mark.parametrize(("kind", "name"), SAME.items(), ids=SAME.values())
def test_the_clients_types_match_the_service(kind: Any, name: str) -> None:
    schema = build_openapi_document(API_ROUTES)["components"]["schemas"][name]
    assert get_type_hints(kind).keys() == schema["properties"].keys()
    if name.endswith("In") and name != "PolicyIn":
        assert set(kind.__required_keys__) == set(schema["required"])


def api_of(handler: Handler, **options: Any) -> Matchback:
    http = httpx.Client(base_url="http://x", transport=httpx.MockTransport(handler))
    return Matchback("http://x", "mb_key", http=http, **options)


def answers(*given: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Start a service that returns these responses in turn, and record its requests."""
    asked: list[httpx.Request] = []
    left: Iterator[httpx.Response | Exception] = iter(given)

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler, asked


def problem(status: int, **headers: str) -> httpx.Response:
    body = {"status": status, "title": "T", "detail": "Why.", "instance": "request-1"}
    return httpx.Response(status, json=body, headers=headers)


LOST = httpx.ReadTimeout("the answer was lost")
USER = httpx.Response(201, json={"id": UNKNOWN_ID})


@pytest.mark.parametrize(
    "first", [LOST, httpx.ConnectError("no route"), problem(503), problem(502)]
)
def test_an_unanswered_post_is_repeated_under_one_key(first: Any) -> None:
    handler, asked = answers(first, problem(429), USER)
    assert api_of(handler).users.create(**BOB)["id"] == UNKNOWN_ID
    keys = {request.headers["Idempotency-Key"] for request in asked}
    assert (len(asked), len(keys)) == (3, 1)
    assert len({request.content for request in asked}) == 1


def test_two_calls_have_two_keys() -> None:
    handler, asked = answers(USER, USER)
    api = api_of(handler)
    api.users.create(**BOB)
    api.users.create(**BOB)
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 2


def test_a_callers_own_key_is_sent() -> None:
    handler, asked = answers(USER)
    api_of(handler).users.create(**BOB, once="import-2026-bob")
    assert asked[0].headers["Idempotency-Key"] == "import-2026-bob"


def test_a_running_request_is_awaited_and_a_conflict_is_not() -> None:
    handler, asked = answers(LOST, problem(409, **{"Retry-After": "0"}), USER)
    assert api_of(handler).users.create(**BOB)
    assert len(asked) == 3
    handler, asked = answers(problem(409))
    with pytest.raises(Refused) as refused:
        api_of(handler).users.create(**BOB)
    assert (refused.value.status, refused.value.request_id, len(asked)) == (409, "request-1", 1)


def test_a_delete_with_a_lost_response_succeeds() -> None:
    handler, _ = answers(LOST, problem(404))
    api_of(handler).users.delete(UNKNOWN_ID)
    handler, _ = answers(problem(404))
    with pytest.raises(Refused):
        api_of(handler).users.delete(UNKNOWN_ID)


def test_the_client_gives_up_at_its_deadline_and_on_request() -> None:
    handler, asked = answers(*[LOST] * 1000)
    with pytest.raises(Unreachable):
        api_of(handler, patience_seconds=0.3).organization()
    assert len(asked) > 1
    handler, asked = answers(*[problem(429, **{"Retry-After": "999999"})] * 2)
    with pytest.raises(Refused, match="429"):  # longer than the client waits
        api_of(handler).organization()
    assert len(asked) == 1
    stopping = Event()
    stopping.set()
    handler, asked = answers(LOST)
    with pytest.raises(Unreachable):
        api_of(handler, stopping=stopping).organization()
    handler, _ = answers(*[problem(503)] * 1000)
    with pytest.raises(Refused):
        api_of(handler, patience_seconds=0.1).organization()


def test_a_response_without_a_problem_document_is_an_error_too() -> None:
    for body in (b"<html>", b"[]", b""):
        handler, _ = answers(httpx.Response(400, content=body))
        with pytest.raises(Refused, match="400"):
            api_of(handler).organization()


def test_all_pages_of_a_list_are_read() -> None:
    pages = [
        {"data": [{"id": "1"}], "next_cursor": "c"},
        {"data": [{"id": "2"}], "next_cursor": None},
    ]
    handler, asked = answers(*(httpx.Response(200, json=page) for page in pages))
    listed = api_of(handler).emails.list(donated=True, sort="-donations_count")
    assert [email["id"] for email in listed] == ["1", "2"]
    assert asked[0].url.params["donated"] == "true"
    assert asked[1].url.params["cursor"] == "c"


def test_a_report_is_asked_for_by_its_times() -> None:
    handler, asked = answers(*[httpx.Response(200, json={})] * 3)
    api = api_of(handler)
    api.fundraisers.report(UNKNOWN_ID, as_of=datetime(2026, 11, 24, 9, tzinfo=UTC))
    api.mailings.report(UNKNOWN_ID, from_=date(2026, 11, 1), to="2026-11-30", by="class_year")
    api.mailings.report(UNKNOWN_ID)
    assert [dict(request.url.params) for request in asked] == [
        {"as_of": "2026-11-24T09:00:00+00:00"},
        {"from": "2026-11-01", "to": "2026-11-30", "by": "class_year"},
        {},
    ]


def test_all_pages_of_changes_have_the_same_end() -> None:
    pages = [
        {"data": [{"id": "1"}], "to": "2026-11-25T09:00:00.123Z", "next_cursor": "c"},
        {"data": [{"id": "2"}], "to": "2026-11-25T09:00:00.123Z", "next_cursor": None},
    ]
    handler, asked = answers(*(httpx.Response(200, json=page) for page in pages))
    changes = api_of(handler).fundraisers.changes(UNKNOWN_ID, from_="2026-11-24T09:00:00Z")
    assert [change["id"] for change in changes] == ["1", "2"]
    assert "to" not in asked[0].url.params
    assert dict(asked[1].url.params) == {
        "from": "2026-11-24T09:00:00Z",
        "to": "2026-11-25T09:00:00.123Z",
        "limit": "200",
        "cursor": "c",
    }


def test_every_method_works_on_the_real_service(stack: Stack) -> None:
    """Call each method once on the real service.

    Gifts are stored once, though responses are lost.
    """
    alice = create_university("Alice's University", stack.api())
    with Matchback(stack.url, alice.key) as api:
        spring = walk_fundraising(api)
        walk_administration(api, alice)
        walk_payments(api, alice, spring)
    assert lossy_gifts(stack, alice, spring) == 20
    assert get_db().donations.count_documents({"deleted_at": None}) == 20


def walk_fundraising(api: Matchback) -> str:
    spring = api.fundraisers.create(name="Spring", goal={"amount": 100, "currency": "USD"})
    assert api.fundraisers.update(spring["id"], name="Summer")["name"] == "Summer"
    mailing = api.mailings.create(fundraiser_id=spring["id"], name="Appeal")
    api.mailings.update(mailing["id"], subject="Hello")
    email = api.emails.create(fundraiser_id=spring["id"], mailing_id=mailing["id"], user=PERSON)
    imported = api.emails.import_(
        [{"fundraiser_id": spring["id"], "user": {"name": "Eve", "email": "eve@example.edu"}}]
    )
    assert (imported["created"], imported["refused"]) == (1, [])
    assert api.users.import_([PERSON, {"name": "Ann", "email": "ann@x.edu"}])["created"] == 1
    gift = api.donations.create(
        fundraiser_id=spring["id"],
        amount=100,
        currency="USD",
        donor=GIVER,
        email_id=email["id"],
    )
    assert api.donations.update(gift["id"], refunded_amount=50)["refunded_amount"] == 50
    assert api.donations.pin(gift["id"], email["link_token"])["pin"]
    assert api.donations.unpin(gift["id"])["pin"] is None
    assert api.donations.match(gift["id"])["pending"] in {True, False}
    assert [one["id"] for one in api.donations.list(fundraiser_id=spring["id"])] == [gift["id"]]
    line: DonationLine = {"mailing_id": mailing["id"], "amount": 700, "currency": "USD"}
    gifts = api.donations.import_([line, line])
    assert (gifts["created"], gifts["found"]) == (2, 0)
    for one in api.donations.list(sort="-amount"):
        if one["amount"] == 700:
            api.donations.delete(one["id"])
    assert len(list(api.emails.list(page_size=1))) == 2
    assert list(api.mailings.links(mailing["id"])) == []
    arms: list[NewArm] = [
        {"name": "sent", "weight": 1},
        {"name": "holdout", "weight": 1, "held_out": True},
    ]
    assert api.mailings.set_experiment(mailing["id"], arms=arms)["version"] == 1
    assert api.mailings.experiment(mailing["id"])["arms"][1]["held_out"] is True
    assert list(api.emails.list(mailing_id=mailing["id"], arm="sent")) == []
    by_provider = api.mailings.experiment(mailing["id"], by="mailbox_provider")["segments"]
    assert by_provider is not None
    assert (by_provider["by"], by_provider["values"]) == ("mailbox_provider", [])
    api.mailings.remove_experiment(mailing["id"])
    assert "as_of" in api.fundraisers.report(spring["id"])
    assert "as_of" in api.mailings.report(mailing["id"])
    walk_times(api, spring["id"], spring["created_at"])
    api.fundraisers.set_policy(spring["id"], touch="first")
    assert api.fundraisers.policy(spring["id"])["touch"] == "first"
    api.fundraisers.remove_policy(spring["id"])
    api.donations.delete(gift["id"])
    api.emails.delete(email["id"])
    api.mailings.delete(mailing["id"])
    fresh = api.fundraisers.create(name="None")
    api.fundraisers.delete(fresh["id"])
    eve = api.users.create(name="E", email="e@example.edu")
    assert api.users.get(eve["id"])["email"] == "e@example.edu"
    api.users.update(eve["id"], name="Eva")
    api.users.delete(eve["id"])
    api.users.erase(next(api.users.list(email="eve@example.edu"))["id"])
    return spring["id"]


def walk_times(api: Matchback, id: str, created: str) -> None:
    past = api.fundraisers.report(id, as_of=datetime.fromisoformat(created))
    assert (past["donations"]["count"], past["unsettled"]) == (0, None)
    period = api.fundraisers.report(id, from_=date(2026, 1, 1), to="2026-01-31")["period"]
    assert period
    assert (period["from"], period["previous"]["to"]) == ("2026-01-01", "2025-12-31")
    segments = api.fundraisers.report(id, by="mailbox_provider")["segments"]
    assert segments
    assert segments["by"] == "mailbox_provider"
    wait_until(lambda: list(api.fundraisers.changes(id, from_=created)), "a change")
    changes = list(api.fundraisers.changes(id, from_=created, page_size=1))
    explanation = api.fundraisers.explanation(id, from_=created)
    assert explanation["before"] == {"count": 0, "raised": {}}
    assert explanation["by_kind"]["new"]["changes"] >= 1
    assert {change["before"] is None for change in changes if change["kinds"] == ["new"]} == {True}


def walk_payments(api: Matchback, alice: University, fundraiser_id: str) -> None:
    set_stripe_secret(alice)
    assert list(api.payments.list()) == []
    post_stripe_event(alice, make_invoice_event("paid", 3))
    wait_until(lambda: bool(list(api.payments.list(status="unassigned"))), "a payment")
    [payment] = api.payments.list(reason="unlinked_invoice")
    assert api.payments.get(payment["id"])["amount"] == 2500
    assigned = api.payments.assign(payment["id"], fundraiser_id)
    assert (assigned["status"], assigned["fundraiser_id"]) == ("unassigned", fundraiser_id)
    assert api.payments.unassign(payment["id"])["fundraiser_id"] is None
    with pytest.raises(Refused, match="404"):
        api.payments.assign(UNKNOWN_ID, fundraiser_id)


def walk_endpoints(api: Matchback) -> None:
    endpoints, url = api.webhook_endpoints, "https://crm.example.edu/hook"
    made = endpoints.create(url=url, events=["donation.matched"])
    id_ = made["id"]
    assert endpoints.rotate_secret(id_)["secret"] != made["secret"]
    assert [one["id"] for one in endpoints.list()] == [id_]
    tested = endpoints.test(id_)
    assert endpoints.resend(id_, tested["id"])["event_id"] == tested["event_id"]
    assert [one["id"] for one in endpoints.deliveries(id_)] == [tested["id"]]
    assert list(endpoints.deliveries(id_, state="delivered")) == []
    assert endpoints.resend_failed(id_)["resend_requested_at"] is None
    assert endpoints.update(id_, enabled=False)["disabled_reason"] == "staff"
    endpoints.delete(id_)
    with pytest.raises(Refused, match="404"):
        endpoints.get(id_)


def walk_administration(api: Matchback, alice: University) -> None:
    assert api.update_organization(time_zone="Asia/Tokyo")["time_zone"] == "Asia/Tokyo"
    assert api.organization()["id"] == alice.id
    api.set_policy(prefer=["clicked"])
    assert api.policy()["prefer"] == ["clicked"]
    api.remove_policy()
    key = api.api_keys.create(name="form", scopes=["read"])
    assert api.api_keys.get(key["id"])["prefix"] == key["secret"][:9]
    api.api_keys.delete(key["id"])
    walk_endpoints(api)
    api.set_webhook_key("stripe", secret="whsec_12345678")
    assert api.webhook_key("stripe")["secret_ends_with"] == "5678"
    api.remove_webhook_key("stripe")
    assert list(api.failed_jobs.list()) == []
    for call in (api.failed_jobs.retry, api.failed_jobs.discard):
        with pytest.raises(Refused, match="404"):
            call(UNKNOWN_ID)
    assert isinstance(list(api.audit.list()), list)


class Lossy(httpx.HTTPTransport):
    """A transport that loses every second response."""

    lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.lost += 1
        if self.lost % 2:
            answer.read()
            answer.close()
            raise httpx.ReadError("lost")
        return answer


def lossy_gifts(stack: Stack, alice: University, fundraiser_id: str) -> int:
    """Send twenty gifts over a lossy network. Return how many got a response in the end."""
    http = httpx.Client(base_url=stack.url, transport=Lossy())
    with Matchback(stack.url, alice.key, http=http) as api:
        made = {
            api.donations.create(
                fundraiser_id=fundraiser_id,
                amount=number,
                currency="USD",
                donor=GIVER,
            )["id"]
            for number in range(1, 21)
        }
    return len(made)
