"""Admins manage webhook endpoints in Settings, and see each event with its attempts."""

import re
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing.endpoint_tests import note_test
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.signing_secret import open_endpoint_secrets
from documents.outgoing.webhook_endpoint import MAX_ENDPOINTS, WebhookEndpoint
from documents.storage import sealed
from documents.values.time import now
from jobs.sender.responses import TIMEOUT_ERROR, describe_status
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.pages import Browser, extract_text, sign_in_staff
from tools.testbed.settled import settle_all

PAGE = "/dashboard/settings/webhook-endpoints"
URL = "https://crm.example.edu/hook"
HOSTILE_URL = """https://x/"><script>alert(1)</script>'"""


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in_staff(real_client, alice.id, "alice@example.edu")


def add_endpoint(place: University, url: str = URL) -> WebhookEndpoint:
    endpoint, _ = WebhookEndpoint.add(ObjectId(place.id), url)
    return endpoint


def fill_form(browser: Browser, path: str = PAGE, **fields: Any) -> dict[str, Any]:
    """Return the fields of the form on a page, with its offered ID."""
    offered = re.findall(r'name="key" value="([^"]+)"', browser.get(path).text)
    form = {"url": URL, "description": "CRM", "events": ["donation.matched"], "key": offered[0]}
    return form | fields


def read_secret(result: testing.Result) -> str:
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", extract_text(result))
    assert found
    return found[0]


def test_an_admin_adds_an_endpoint_and_sees_its_secret_once(
    alice: University, browser: Browser
) -> None:
    fields = fill_form(browser)
    assert browser.get(PAGE).text.count('name="events"') == len(OUTGOING_EVENT_TYPES)
    made = browser.send(PAGE, fields)
    assert made.status_code == 201
    (endpoint,) = WebhookEndpoint.live(ObjectId(alice.id))
    assert open_endpoint_secrets(endpoint.to_mongo(), now()) == [read_secret(made)]
    assert (endpoint.url, endpoint.events) == (URL, ["donation.matched"])
    again = browser.send(PAGE, fields)  # the page was loaded again
    assert again.headers["location"] == f"{PAGE}/{endpoint.id}?done=made"
    assert WebhookEndpoint.live(ObjectId(alice.id)).count() == 1
    for path in (f"{PAGE}/{endpoint.id}", "/dashboard/settings"):
        page = browser.get(path)
        assert URL in page.text
        assert "whsec_" not in page.text


def test_an_admin_edits_disables_enables_and_deletes(alice: University, browser: Browser) -> None:
    id_ = add_endpoint(alice).id
    path = f"{PAGE}/{id_}"
    browser.get(path)
    sent = {"url": f"{URL}/2", "description": "", "events": ["email.bounced", "import.finished"]}
    assert browser.send(path, sent).headers["location"] == f"{path}?done=saved"
    endpoint = WebhookEndpoint.objects.get(id=id_)
    assert (endpoint.url, endpoint.events) == (sent["url"], sent["events"])
    browser.send(f"{path}/disable")
    said = extract_text(browser.get(path, query_string="done=disabled"))
    assert "Endpoint disabled." in said
    assert "An admin or a program disabled this endpoint." in said
    assert "Send a test event" not in re.sub(r"No events yet\..*", "", said)
    assert browser.send(f"{path}/test").status_code == 409
    assert browser.send(f"{path}/resend").status_code == 409
    browser.get(path)
    browser.send(f"{path}/enable")
    assert WebhookEndpoint.objects.get(id=id_).enabled
    gone = browser.send(f"{path}/delete")
    assert gone.headers["location"] == "/dashboard/settings?done=endpoint-deleted"
    assert browser.get(path).status_code == 404
    assert "No webhook endpoints yet." in extract_text(browser.get("/dashboard/settings"))


def test_a_secret_is_replaced_once_by_a_form_that_is_sent_twice(
    alice: University, browser: Browser
) -> None:
    endpoint, first = WebhookEndpoint.add(ObjectId(alice.id), URL)
    path = f"{PAGE}/{endpoint.id}"
    fields = {"key": fill_form(browser, path)["key"]}
    shown = browser.send(f"{path}/secret", fields)
    assert "The previous secret is valid until" in extract_text(shown)
    again = browser.send(f"{path}/secret", fields)
    assert again.headers["location"] == f"{path}?done=replaced"
    opened = open_endpoint_secrets(WebhookEndpoint.objects.get(id=endpoint.id).to_mongo(), now())
    assert opened == [read_secret(shown), first]
    for stolen in (str(ObjectId()), "", f"{endpoint.id}.{fields['key'].split('.')[1]}"):
        assert browser.send(f"{path}/secret", {"key": stolen}).status_code == 400


def test_a_mistake_in_the_form_is_422_with_an_instruction(
    alice: University, browser: Browser
) -> None:
    path = f"{PAGE}/{add_endpoint(alice).id}"
    mistakes: dict[str, list[dict[str, Any]]] = {
        "Enter a URL of at most 2,000 characters": [
            {"url": ""},
            {"url": "http://crm.example.edu"},
            {"url": f"https://x/{'x' * 2000}"},
        ],
        "Choose at least one event.": [{"events": []}, {"events": ["fax"]}],
        "Enter a description of at most 1,000 characters.": [{"description": "x" * 1001}],
    }
    for said, wrong in mistakes.items():
        for fields in wrong:
            for at in (PAGE, path):
                answer = browser.send(at, fill_form(browser, **fields))
                assert answer.status_code == 422, (at, fields)
                assert said in extract_text(answer)
    (endpoint,) = WebhookEndpoint.live(ObjectId(alice.id))
    assert endpoint.url == URL


def test_a_form_of_another_site_changes_nothing(alice: University, browser: Browser) -> None:
    path = f"{PAGE}/{add_endpoint(alice).id}"
    for action in ("", "/enable", "/disable", "/secret", "/delete", "/test", "/resend"):
        for foreign in ({"form_token": "x"}, {"headers": {"Sec-Fetch-Site": "cross-site"}}):
            more = {"fields": foreign} if "form_token" in foreign else foreign
            assert browser.send(f"{path}{action}", **more).status_code == 403, action
    assert browser.send(PAGE, {"form_token": "x"}).status_code == 403
    assert EventDelivery.objects.count() == 0


def test_a_viewer_sees_no_endpoint(alice: University, real_client: testing.TestClient) -> None:
    endpoint = add_endpoint(alice)
    delivery = note_test(endpoint)
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", role="viewer")
    path = f"{PAGE}/{endpoint.id}"
    for at in (PAGE, path, f"{path}/deliveries/{delivery.id}"):
        assert viewer.get(at).status_code == 403
    for at in (PAGE, path, f"{path}/secret", f"{path}/deliveries/{delivery.id}/resend"):
        viewer.get("/dashboard/account")
        assert viewer.send(at).status_code == 403


def test_a_url_is_text_and_never_markup(alice: University, browser: Browser) -> None:
    endpoint = add_endpoint(alice, HOSTILE_URL)
    endpoint.amend(description=HOSTILE_URL)
    delivery = note_test(endpoint)
    path = f"{PAGE}/{endpoint.id}"
    secret = {"key": fill_form(browser, path)["key"]}
    pages = [
        browser.get("/dashboard/settings"),
        browser.get(path),
        browser.get(f"{path}/deliveries/{delivery.id}"),
        browser.send(f"{path}/secret", secret),
    ]
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert '"><' not in extract_text(page).replace(HOSTILE_URL, "")
        assert HOSTILE_URL in extract_text(page)


def test_a_test_event_and_its_attempts_are_shown(alice: University, browser: Browser) -> None:
    path = f"{PAGE}/{add_endpoint(alice).id}"
    browser.get(path)
    assert browser.send(f"{path}/test").headers["location"] == f"{path}?done=tested"
    assert "Test event" in extract_text(browser.get(path)).split("Last attempt")[-1]
    attempts = [
        {"at": now() - timedelta(seconds=5), "seconds": 15, "error": TIMEOUT_ERROR},
        {"at": now(), "seconds": 0.256, "status": 503, "error": describe_status(503)},
    ]
    failed = {"$set": {"attempts": attempts, "failed_at": now()}, "$unset": {"next_attempt_at": 1}}
    get_db().event_deliveries.update_one({}, failed)
    said = extract_text(browser.get(path, query_string="state=failed"))
    assert re.search(r"Test event .* Failed Answer 503 Send again evt_", said)
    delivery = EventDelivery.objects.first()
    page = browser.get(f"{path}/deliveries/{delivery.id}")
    assert re.search(r"Answer 503 0\.26 .* No response in time\. 15", extract_text(page))
    assert '"type": "endpoint.test"' in extract_text(page)
    sent = browser.send(f"{path}/deliveries/{delivery.id}/resend")
    assert sent.headers["location"] == f"{path}/deliveries/{delivery.id}?done=resent"
    assert EventDelivery.objects.first().state == "pending"
    assert "No event has this state." in browser.get(path, query_string="state=failed").text


def test_all_failed_events_are_sent_again(alice: University, browser: Browser) -> None:
    endpoint = add_endpoint(alice)
    path = f"{PAGE}/{endpoint.id}"
    assert "Send all failed events again" not in browser.get(path).text
    for _ in range(3):
        note_test(endpoint)
    failed = {"$set": {"failed_at": now()}, "$unset": {"next_attempt_at": 1}}
    get_db().event_deliveries.update_many({}, failed)
    assert re.search(r"Failed events 3\b", extract_text(browser.get(path)))
    assert "Send all failed events again" in browser.get(path).text
    assert browser.send(f"{path}/resend").headers["location"] == f"{path}?done=resent"
    assert {one.state for one in EventDelivery.objects} == {"pending"}


def test_the_body_shows_the_donor_as_now(alice: University, browser: Browser) -> None:
    endpoint = add_endpoint(alice)
    spring = alice.fundraiser()
    gift = alice.gift(spring, email_id=alice.email(spring))
    settle_all()
    delivery = EventDelivery.objects.first()
    page = browser.get(f"{PAGE}/{endpoint.id}/deliveries/{delivery.id}")
    assert BOB["email"] in page.text
    assert f'href="/dashboard/gifts/{gift}"' in page.text


def test_events_are_listed_in_pages(alice: University, browser: Browser) -> None:
    endpoint = add_endpoint(alice)
    path = f"{PAGE}/{endpoint.id}"
    for _ in range(60):
        note_test(endpoint)
    first = browser.get(path, query_string="state=pending").text
    cursor = first.split('name="cursor" value="')[1].split('"')[0]
    second = browser.get(path, query_string=f"state=pending&cursor={cursor}").text
    shown = [set(re.findall(r'data-key="(\w{24})"', page)) for page in (first, second)]
    assert [len(one) for one in shown] == [50, 10]
    assert not shown[0] & shown[1]
    assert browser.get(path, query_string="cursor=x").status_code == 400
    assert browser.get(path, query_string="state=lost").status_code == 422


def test_a_missing_master_key_is_explained(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = fill_form(browser)
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", "")
    get_settings.cache_clear()
    sealed._ring.cache_clear()
    assert "its master key is missing" in extract_text(browser.get(PAGE))
    refused = browser.send(PAGE, fields)
    assert refused.status_code == 503
    assert "its master key is missing" in extract_text(refused)


def test_private_networks_are_explained(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "MATCHBACK_WEBHOOK_PRIVATE_NETWORKS" in extract_text(browser.get(PAGE))
    monkeypatch.setenv("MATCHBACK_WEBHOOK_PRIVATE_NETWORKS", "10.1.0.0/16")
    get_settings.cache_clear()
    assert "these private networks: 10.1.0.0/16" in extract_text(browser.get(PAGE))
    made = browser.send(PAGE, fill_form(browser, url="http://crm.intern.example.edu/"))
    assert made.status_code == 201


def test_the_maximum_number_of_endpoints_is_explained(alice: University, browser: Browser) -> None:
    for _ in range(MAX_ENDPOINTS):
        add_endpoint(alice)
    refused = browser.send(PAGE, fill_form(browser))
    assert refused.status_code == 409
    assert "maximum number of endpoints" in extract_text(refused)
