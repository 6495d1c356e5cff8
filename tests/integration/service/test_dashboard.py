"""The dashboard's pages: their contents, and who may see them."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.access.audit import OpenAct
from documents.access.staff import Staff
from documents.donation import Donation
from documents.email import Email
from documents.fundraiser import Fundraiser
from documents.providers.registry import PROVIDERS
from documents.recount.recount import COUNTED_COLLECTIONS
from documents.storage.export_state import WarehouseState
from documents.values.time import now
from jobs.sweep import sweep_due_records
from service.routes import DASHBOARD_ROUTES
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.pages import Browser, add_staff, extract_text, upload_file
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

HOSTILE = """<script>alert(1)</script> "onload='alert(2)' {{7*7}} =cmd|'/C calc'!A1"""
AT = 1_790_000_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    """Create Alice's university on the real database, because pages show what jobs have counted."""
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    """Sign Alice in."""
    add_staff(alice.id, "alice@example.edu")
    signed_in = Browser(real_client)
    signed_in.sign_in("alice@example.edu")
    return signed_in


def furnish(place: University, name: str = "Spring Giving Day") -> dict[str, str]:
    """Create a fundraiser with a mailing to Bob, who opened, clicked and gave."""
    place.set_webhook_key()
    sent_at = "2026-09-20T10:00:00Z"
    spring = place.fundraiser(name, goal={"amount": 10_000, "currency": "USD"})
    mailing = place.mailing(
        spring, name=name, sent_at=sent_at, cost={"amount": 500, "currency": "USD"}
    )
    email = place.email(spring, {**BOB, "name": name}, mailing_id=mailing, sent_at=sent_at)
    told = [
        make_event(email, "delivered", AT),
        make_event(email, "open", AT + 1),
        make_event(email, "click", AT + 2, url=f"https://give.example.edu/{name}"),
    ]
    place.deliver(told)
    sweep_due_records()
    gift = place.gift(spring, email_id=email, donor={**BOB, "name": name})
    lost = place.gift(spring, 4000, {"name": name, "email": "stranger@example.org"})
    set_stripe_secret(place)
    post_stripe_event(
        place, make_charge_event("succeeded", billing_details={"name": name, "email": BOB["email"]})
    )
    sweep_due_records()
    url = "https://crm.example.edu/"
    endpoint = place.make("webhook-endpoints", url=url, description=name)["id"]
    tested = place.call("POST", f"/v1/webhook-endpoints/{endpoint}/test").json["id"]
    return {
        "payments": place.get("/v1/payments")["data"][0]["id"],
        "fundraisers": spring,
        "mailings": mailing,
        "emails": email,
        "people": place.get(f"/v1/emails/{email}")["user_id"],
        "gifts": gift,
        "imports": upload_file(place.id, f"{name}.csv"),
        "webhook-endpoints": endpoint,
        "event-deliveries": tested,
        "lost": lost,
    }


def test_the_overview_shows_raised_against_goal_and_conversion(
    alice: University, browser: Browser
) -> None:
    furnish(alice)
    alice.fundraiser("Library")
    said = extract_text(browser.get("/dashboard"))
    assert "Library" in said
    assert "$65.00" in said
    assert "65.0% of $100.00" in said
    assert "100.0%" in said  # one delivered, and it led to a gift


@pytest.mark.parametrize(
    "column", ["name", "raised", "goal", "gifts", "sent", "conversion", "created"]
)
def test_the_overview_sorts_by_each_column_in_both_directions(
    alice: University, browser: Browser, column: str
) -> None:
    """“b” has more than “A” in each column. “z” has nothing, and comes last where that is not 0."""
    low = furnish(alice, "A")["fundraisers"]
    alice.call("PATCH", f"/v1/fundraisers/{low}", {"goal": {"amount": 10**9, "currency": "USD"}})
    high = furnish(alice, "b")["fundraisers"]
    alice.gift(high, 5000)
    alice.email(high, {"name": "Eve", "email": "eve@example.edu"})
    alice.fundraiser("z")
    sweep_due_records()
    Fundraiser.objects(id=low).update(set__funnel__delivered=10)
    seen = {}
    for sort in (column, f"-{column}"):
        page = browser.get("/dashboard", query_string=f"sort={sort}").text
        seen[sort] = "".join(sorted("Abz", key=lambda name: page.index(f">{name}</a>")))
        assert f'aria-sort="{"descending" if sort.startswith("-") else "ascending"}"' in page
    has_zero = {"gifts": ("zAb", "bAz"), "sent": ("zAb", "bAz")}
    everybody_has_one = dict.fromkeys(("name", "created"), ("Abz", "zbA"))
    expected = (has_zero | everybody_has_one).get(column, ("Abz", "bAz"))
    assert (seen[column], seen[f"-{column}"]) == expected


def test_the_overview_is_paged_and_searched_by_words_of_the_name(
    alice: University, browser: Browser
) -> None:
    for number in range(27):
        alice.fundraiser(f"Fund {number:02d}")
    first = browser.get("/dashboard", query_string="sort=name").text
    second = browser.get("/dashboard", query_string="sort=name&page=2").text
    assert (first.count("/dashboard/fundraisers/"), second.count("/dashboard/fundraisers/")) == (
        25,
        2,
    )
    found = browser.get("/dashboard", query_string="q=FUND+05").text
    assert found.count('href="/dashboard/fundraisers/') == 1


def test_a_fundraiser_shows_funnel_match_classes_mailings_and_reasons(
    alice: University, browser: Browser
) -> None:
    ids = furnish(alice)
    said = extract_text(browser.get(f"/dashboard/fundraisers/{ids['fundraisers']}"))
    for part in (
        "Delivered 1 100.0%",
        "Opened 1 100.0%",
        "Clicked 1 100.0%",
        "Gave 1 100.0%",
        "By link 1 $25.00",
        "No email 1 $40.00",
        "1 $25.00 $25.00 20.0%",  # gifts, raised, raised per email, cost ratio
        "The gift named this email",
        "All gifts and provider reports are counted.",
    ):
        assert part in said, part


def test_a_mailing_shows_its_links_and_its_recipients_actions(
    alice: University, browser: Browser
) -> None:
    ids = furnish(alice)
    at = f"/dashboard/mailings/{ids['mailings']}"
    said = extract_text(browser.get(at))
    assert "https://give.example.edu/Spring Giving Day 1 1 0" in said
    assert BOB["email"] in said
    for did, is_there in (("clicked", True), ("gave", True), ("bounced", False), ("left", False)):
        page = browser.get(at, query_string=f"did={did}").text
        assert (BOB["email"] in page) == is_there, did
    for words, is_there in (("giv+spr", True), (BOB["email"][:5], True), ("nobody", False)):
        page = browser.get(at, query_string=f"q={words}").text
        assert (f"/dashboard/people/{ids['people']}" in page) == is_there, words


def test_a_person_has_one_timeline(alice: University, browser: Browser) -> None:
    ids = furnish(alice)
    said = extract_text(browser.get(f"/dashboard/people/{ids['people']}"))
    parts = ["Gave $25.00", "Clicked", "Opened", "Delivered", "Email sent"]
    places = [said.index(part) for part in parts]
    assert places == sorted(places)  # the latest first


def test_gifts_without_an_email_are_first_and_can_be_pinned(
    alice: University, browser: Browser
) -> None:
    ids = furnish(alice)
    unmatched = browser.get("/dashboard/gifts").text
    assert ids["lost"] in unmatched
    assert ids["gifts"] not in unmatched
    browser.get(f"/dashboard/gifts/{ids['lost']}")
    found = browser.get(f"/dashboard/gifts/{ids['lost']}", query_string="q=spring").text
    assert f'value="{ids["emails"]}"' in found
    answer = browser.send(f"/dashboard/gifts/{ids['lost']}/pin", {"email": ids["emails"]})
    assert answer.status_code == 303
    sweep_due_records()
    assert str(Donation.objects.get(id=ids["lost"]).email_id) == ids["emails"]
    assert "Set by staff" in extract_text(browser.get(f"/dashboard/gifts/{ids['lost']}"))
    by_match = alice.report(ids["fundraisers"])["donations"]["by_match"]
    assert {name: of["count"] for name, of in by_match.items()} == {
        "link": 1,
        "address": 0,
        "pinned": 1,
        "none": 0,
    }
    act = OpenAct.objects(action="POST /dashboard/gifts/{id}/pin").first()
    staff = Staff.named("alice@example.edu")
    assert (act.actor, act.record, act.outcome) == (f"staff:{staff.id}", ids["lost"], 303)
    browser.send(f"/dashboard/gifts/{ids['lost']}/unpin")
    sweep_due_records()
    assert Donation.objects.get(id=ids["lost"]).match == "none"


@pytest.mark.parametrize("email", [{}, {"email": "garbage"}, {"email": UNKNOWN_ID}])
def test_a_pin_to_a_missing_email_changes_nothing(
    alice: University, browser: Browser, email: dict[str, str]
) -> None:
    ids = furnish(alice)
    browser.get(f"/dashboard/gifts/{ids['lost']}")
    answer = browser.send(f"/dashboard/gifts/{ids['lost']}/pin", email)
    assert answer.status_code in {400, 422}
    assert "Nothing was changed." in answer.text
    assert Donation.objects.get(id=ids["lost"]).pin is None


def fail(email_id: str) -> None:
    email = Email.objects.get(id=email_id)
    trouble = {"error": "ValueError", "tries": 5, "failed_at": email.created_at}
    Email.objects(id=email_id).update(set__trouble=trouble, unset__due=True)


def test_health_shows_the_warehouses_state(
    alice: University, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Reporting database" not in extract_text(browser.get("/dashboard/health"))
    monkeypatch.setenv("MATCHBACK_WAREHOUSE_URL", "duckdb:///nowhere")
    get_settings.cache_clear()
    try:
        alice.fundraiser("Marked")
        get_db().fundraisers.update_one(
            {"name": "Marked"}, {"$set": {"export_due": now() - timedelta(seconds=90)}}
        )
        said = extract_text(browser.get("/dashboard/health"))
        assert "minutes behind" in said.split("Reporting database")[1]
        assert "still being copied" in said
        WarehouseState.note(error="it is away", backfill=[])
        assert "Unavailable" in extract_text(browser.get("/dashboard/health"))
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_health_shows_and_retries_failed_jobs(alice: University, browser: Browser) -> None:
    ids = furnish(alice)
    assert "Up to date" in extract_text(browser.get("/dashboard/health"))
    fail(ids["emails"])
    said = extract_text(browser.get("/dashboard/health"))
    assert f"Count an email {ids['emails']} ValueError 5" in said
    assert browser.send(f"/dashboard/jobs/{ids['emails']}/retry").status_code == 303
    sweep_due_records()
    assert "No failed jobs." in extract_text(browser.get("/dashboard/health"))
    assert browser.send(f"/dashboard/jobs/{ids['emails']}/retry").status_code == 404


def test_an_admin_creates_and_revokes_api_keys_and_sees_a_secret_once(
    alice: University, browser: Browser
) -> None:
    page = browser.get("/dashboard/settings").text
    offered = page.split('name="key" value="')[1].split('"')[0]
    fields = {"name": "Giving form", "scopes": "write", "key": offered}
    made = browser.send("/dashboard/api-keys", fields)
    secret = made.text.split('<code class="secret">')[1].split("<")[0]
    form = University(alice.id, secret, alice.api)
    assert form.call("POST", "/v1/fundraisers", {"name": "New"}).status == 201
    assert secret not in browser.get("/dashboard/settings").text
    again = browser.send("/dashboard/api-keys", fields)  # the page was loaded again
    assert again.headers["location"] == "/dashboard/settings?done=made"
    assert form.call("GET", "/v1/fundraisers").status == 200  # its secret has not changed
    first = alice.get("/v1/api-keys?sort=created_at")["data"][0]["id"]
    for stolen in (first, f"{first}.{offered.split('.')[1]}", str(ObjectId()), "", "."):
        refused = browser.send("/dashboard/api-keys", {**fields, "key": stolen})
        assert refused.status_code == 400, stolen
    key_id = offered.split(".")[0]
    assert len(alice.get("/v1/api-keys")["data"]) == 2
    assert browser.send(f"/dashboard/api-keys/{key_id}/revoke").status_code == 303
    assert len(alice.get("/v1/api-keys")["data"]) == 1


def test_an_admin_sets_and_removes_webhook_keys_and_policies(
    alice: University, browser: Browser
) -> None:
    alice.set_webhook_key()
    key = alice.get("/v1/webhook-keys/sendgrid")["public_key"]
    browser.get("/dashboard/settings")
    sent = {"provider": "sendgrid", "key": key}
    assert browser.send("/dashboard/webhook-keys", sent).status_code == 303
    for bad in ({"provider": "sendgrid", "key": "x"}, {"provider": "fax", "key": key}):
        assert browser.send("/dashboard/webhook-keys", bad).status_code in {400, 422}
    removed = browser.send("/dashboard/webhook-keys", {**sent, "remove": "1"})
    assert removed.status_code == 303
    assert alice.call("GET", "/v1/webhook-keys/sendgrid").status == 404
    policy = {"days": "14", "prefer": ["clicked", "opened"], "touch": "first"}
    policy["other_fundraiser"] = "match"
    assert browser.send("/dashboard/match-policy", policy).status_code == 303
    set_ = alice.get("/v1/match-policy")
    assert (set_["window_seconds"], set_["prefer"]) == (14 * 86400, ["clicked", "opened"])
    spring = alice.fundraiser()
    own = {**policy, "days": "7", "fundraiser": spring}
    assert browser.send("/dashboard/match-policy", own).status_code == 303
    held = alice.get(f"/v1/fundraisers/{spring}/match-policy")
    assert (held["scope"], held["window_seconds"]) == ("fundraiser", 7 * 86400)
    assert "Spring" in extract_text(browser.get("/dashboard/settings"))
    gone = {"fundraiser": spring, "remove": "1"}
    assert browser.send("/dashboard/match-policy", gone).status_code == 303
    mistakes: list[dict[str, Any]] = [
        {"days": "0"},
        {"days": "x"},
        {"days": "99999"},
        {"prefer": []},
    ]
    for wrong in mistakes:
        assert browser.send("/dashboard/match-policy", {**policy, **wrong}).status_code == 422


def test_names_are_text_and_never_markup(alice: University, browser: Browser) -> None:
    ids = furnish(alice, HOSTILE)
    Staff.objects(organization_id=ObjectId(alice.id)).update(set__name=HOSTILE)
    for path in walk(ids):
        page = browser.get(path).text
        assert "<script>alert" not in page, path
        assert '"onload=' not in page.replace("&quot;", ""), path
        assert "49" not in page.split("<main")[1] or "{{7*7}}" in page, path
        assert page.count("<script") == 1, path  # this installation's own


def walk(ids: dict[str, str]) -> Iterator[str]:
    """Yield every page that a person can reach by links."""
    yield from ("/dashboard", "/dashboard/gifts", "/dashboard/health", "/dashboard/settings")
    yield "/dashboard/payments"
    yield "/dashboard/account"
    yield from (f"/dashboard/settings/providers/{name}" for name in PROVIDERS)
    for kind in ("fundraisers", "mailings", "people", "gifts"):
        yield f"/dashboard/{kind}/{ids[kind]}"
    endpoint = f"/dashboard/settings/webhook-endpoints/{ids['webhook-endpoints']}"
    yield from ("/dashboard/settings/webhook-endpoints", endpoint)
    yield f"{endpoint}/deliveries/{ids['event-deliveries']}"


@pytest.mark.parametrize("table", ["raised-over-time", "funnel", "matches", "mailings"])
def test_each_table_exports_csv_without_formulas(
    alice: University, browser: Browser, table: str
) -> None:
    ids = furnish(alice, "=1+1")
    answer = browser.get(f"/dashboard/fundraisers/{ids['fundraisers']}/{table}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    header, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    if table == "mailings":
        assert rows[0][0] == "'=1+1"
        assert "25.00" in rows[0]


def test_the_overview_and_links_export_csv_too(alice: University, browser: Browser) -> None:
    ids = furnish(alice)
    fundraisers = browser.get("/dashboard/fundraisers.csv", query_string="sort=-raised").text
    assert '"Spring Giving Day","65.00",0.65,2,2,1,1.0' in fundraisers
    links = browser.get(f"/dashboard/mailings/{ids['mailings']}/links.csv").text
    assert '"https://give.example.edu/Spring Giving Day",1,1,0' in links


def test_empty_pages_suggest_the_next_step(alice: University, browser: Browser) -> None:
    assert "No fundraisers yet" in browser.get("/dashboard").text
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    for path in (f"fundraisers/{spring}", f"mailings/{mailing}"):
        page = browser.get(f"/dashboard/{path}")
        assert page.status_code == 200
        assert "yet" in page.text
    assert "No gift is without an email." in browser.get("/dashboard/gifts").text


def test_an_unchanged_page_is_not_sent_again(alice: University, browser: Browser) -> None:
    ids = furnish(alice)
    for path in (f"/dashboard/fundraisers/{ids['fundraisers']}", "/dashboard"):
        tag = browser.get(path).headers["etag"]
        assert browser.get(path, headers={"If-None-Match": tag}).status_code == 304, path


def test_the_content_security_policy_blocks_scripts_and_foreign_content(
    alice: University, browser: Browser
) -> None:
    page = browser.get("/dashboard")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page.text
    assert page.headers["cache-control"] == "private, no-cache"


def test_assets_are_cached_forever_and_named_by_their_content(browser: Browser) -> None:
    page = browser.get("/dashboard/sign-in").text
    at = page.split('rel="stylesheet" href="')[1].split('"')[0]
    asset = browser.get(at)
    assert asset.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in asset.headers["cache-control"]
    for wrong in (at.replace("dashboard.css", "..%2Fpage.py"), at + "x", "/dashboard/assets/x/y"):
        assert browser.get(wrong).status_code == 404


def test_every_page_except_sign_in_and_assets_needs_a_session() -> None:
    free = {
        path
        for path, resource, suffix in DASHBOARD_ROUTES
        for verb in ("get", "post")
        if (responder := getattr(resource, f"on_{verb}{'_' + suffix if suffix else ''}", None))
        and not getattr(responder, "needs_session", False)
    }
    assert free == {
        "/",
        "/dashboard/sign-in",
        "/dashboard/sign-in/link",
        "/dashboard/password",
        "/dashboard/password/new",
        "/dashboard/sign-in/sso/{organization_id}",  # the provider's answer opens it
        "/dashboard/sign-out/back-channel/{organization_id}",  # a signed token opens it
        "/dashboard/digests/unsubscribe/{token}",  # a signed token opens it
        "/dashboard/assets/{version}/{name}",
    }


def test_charlie_sees_and_changes_nothing_of_alices(
    real_client: testing.TestClient, alice: University, browser: Browser
) -> None:
    hers = furnish(alice, "Alices Secret")
    fail(hers["emails"])
    charlie = create_university("Charlie's University", alice.api)
    his = furnish(charlie, "Charlies Own")
    add_staff(charlie.id, "charlie@example.edu")
    spy = Browser(real_client)
    spy.sign_in("charlie@example.edu")
    for path in walk(his):
        assert "Alices Secret" not in spy.get(path).text, path
    walked = 0
    before = everything_of(alice)
    for path, resource, suffix in DASHBOARD_ROUTES:
        if "{id}" not in path:
            continue
        noun = path.split("/")[2]
        noun = {"jobs": "emails", "api-keys": "gifts", "settings": "webhook-endpoints"}.get(
            noun, noun
        )
        for verb in ("get", "post"):
            if not hasattr(resource, f"on_{verb}{'_' + suffix if suffix else ''}"):
                continue
            answers = []
            for id_ in (hers[noun], UNKNOWN_ID):
                at = path.replace("{id}", id_).replace("{table}", "funnel")
                at = at.replace("{delivery_id}", hers["event-deliveries"])
                answers.append(spy.get(at) if verb == "get" else spy.send(at, {"email": "none"}))
                spy.get("/dashboard/account")  # loads the form's token
            assert {answer.status_code for answer in answers} == {404}, path
            walked += 1
    assert walked >= 10
    spy.get("/dashboard/account")
    hers_alone = {"email": hers["emails"]}
    assert spy.send(f"/dashboard/gifts/{his['lost']}/pin", hers_alone).status_code == 422
    for words in ("alices", "bob"):
        found = spy.get(f"/dashboard/gifts/{his['lost']}", query_string=f"q={words}").text
        assert hers["emails"] not in found
    policy = {"days": "1", "fundraiser": hers["fundraisers"], "remove": "1"}
    assert spy.send("/dashboard/match-policy", policy).status_code == 404
    assert everything_of(alice) == before


def everything_of(place: University) -> dict[str, Any]:
    from mongoengine import get_db

    owner = {"organization_id": ObjectId(place.id)}
    return {name: list(get_db()[name].find(owner).sort("_id", 1)) for name in COUNTED_COLLECTIONS}
