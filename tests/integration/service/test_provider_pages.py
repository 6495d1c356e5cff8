"""The page of each provider: its URL, its keys, its last requests, and a test event."""

import re

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.providers.registry import PROVIDERS
from documents.webhook_rejections import rejection_notes
from jobs.sweep import sweep_due_records
from service.dashboard.presentation import wording
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.pages import Browser, extract_text, sign_in_staff
from tools.testbed.provider_requests import SENDERS, post_signed, set_provider_key

every_provider = pytest.mark.parametrize("provider", PROVIDERS)
AT = 1_790_000_000
PEM = "-----BEGIN PUBLIC KEY-----\r\n{}\r\n-----END PUBLIC KEY-----\r\n"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in_staff(real_client, alice.id, "alice@example.edu")


def page_of(provider: str) -> str:
    return f"/dashboard/settings/providers/{provider}"


def send_key(browser: Browser, provider: str, key: str) -> testing.Result:
    return browser.send("/dashboard/webhook-keys", {"provider": provider, "key": key})


@every_provider
def test_a_page_shows_the_url_and_what_to_enter(
    alice: University, browser: Browser, provider: str
) -> None:
    page = browser.get(page_of(provider))
    text = extract_text(page)
    assert f"/v1/webhooks/{provider}/{alice.id}" in page.text
    assert PROVIDERS[provider].setup.replace("`", "")[:30] in text.replace(" .", ".")
    assert "No key set." in text
    assert "No requests yet. Set the key first." in text
    assert "Send a test event" not in text


@every_provider
@pytest.mark.parametrize("paste", ["{}", " \r\n{}\r\n ", '"{}"', "\u200b{}\u2060", PEM])
def test_a_pasted_key_works_through_the_form(
    alice: University, browser: Browser, provider: str, paste: str
) -> None:
    sent = send_key(browser, provider, paste.format(SENDERS[provider].key))
    assert sent.headers["location"] == f"{page_of(provider)}?done=set"
    assert post_signed(alice, provider, b"{}").status == 202
    text = extract_text(browser.get(page_of(provider)))
    assert f"Ends with …{SENDERS[provider].key[-4:]}" in text or provider == "sendgrid"
    assert SENDERS[provider].key not in text
    assert "Received" in text


@every_provider
def test_a_wrong_key_is_422_with_an_instruction(browser: Browser, provider: str) -> None:
    for wrong in ("", " ", "\u200b", "x", "k" * 1001):
        answer = send_key(browser, provider, wrong)
        assert answer.status_code == 422
        assert "The key is not valid. Copy it again" in extract_text(answer), wrong


def test_two_keys_are_valid_and_an_admin_removes_both(alice: University, browser: Browser) -> None:
    for key in ("whsec_" + "a" * 40, SENDERS["events"].key):
        send_key(browser, "events", key)
    text = extract_text(browser.get(page_of("events")))
    assert f"Ends with …{SENDERS['events'].key[-4:]}" in text
    assert "Ends with …aaaa Previous key. It stays valid" in text
    gone = browser.send("/dashboard/webhook-keys", {"provider": "events", "remove": "1"})
    assert gone.headers["location"] == f"{page_of('events')}?done=removed"
    assert "No key set." in extract_text(browser.get(page_of("events")))
    assert post_signed(alice, "events", b"[]").status == 401


def test_a_missing_master_key_is_explained(
    alice: University, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", "8ZlMvS9l1Jq3bXvC1mJ9m6m0o5mJm0wV4y3kq1J5m2s=")
    get_settings.cache_clear()
    set_provider_key(alice, "events")
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", "mJm0wV4y3kq1J5m2s8ZlMvS9l1Jq3bXvC1mJ9m6m0o4=")
    get_settings.cache_clear()
    page = browser.get(page_of("events"))
    assert page.status_code == 200
    assert "its master key is missing" in extract_text(page)
    assert "Send a test event" not in extract_text(page)


def test_the_last_requests_show_their_result(alice: University, browser: Browser) -> None:
    alice.set_webhook_key()
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "click", AT), make_event(email, "fax", AT), {}])
    text = extract_text(browser.get(page_of("sendgrid")))
    assert "Clicked, fax Received 3 events Not counted yet" in text
    sweep_due_records()
    alice.deliver([make_event(email, "click", AT)])
    sweep_due_records()
    text = extract_text(browser.get(page_of("sendgrid")))
    assert "Received 3 events 2 counted. 1 not usable: no event type" in text
    assert "Clicked Received 1 event 1 repeated." in text
    assert "SendGrid Set" in extract_text(browser.get("/dashboard/settings"))


def test_a_rejected_request_shows_its_reason_and_how_to_remove_it(
    alice: University, browser: Browser
) -> None:
    for _ in range(2):
        alice.deliver([])
    rejection_notes.flush()
    wait = extract_text(browser.get(page_of("sendgrid")))
    assert re.search(r"Rejected No key was set\. Set the key on this page\.", wait)
    listed = extract_text(browser.get("/dashboard/settings"))
    assert re.search(r"SendGrid Not set [^R]* Rejected", listed)
    for reason, label in wording.REJECTION_LABELS.items():
        rejection_notes.note(alice.id, "mailgun", reason)
        rejection_notes.note(alice.id, "mailgun", reason)
        rejection_notes.flush()
        text = extract_text(browser.get(page_of("mailgun")))
        assert f"Rejected {label}" in text
    assert "2 requests since" in text


def test_a_test_event_is_received_and_counts_nowhere(alice: University, browser: Browser) -> None:
    assert browser.send(f"{page_of('events')}/test").status_code == 404  # no key yet
    set_provider_key(alice, "events")
    assert "Send a test event" in extract_text(browser.get(page_of("events")))
    fundraiser = alice.fundraiser()
    before = alice.report(fundraiser)["emails"]
    sent = browser.send(f"{page_of('events')}/test")
    assert sent.headers["location"] == f"{page_of('events')}?done=tested"
    sweep_due_records()
    text = extract_text(browser.get(page_of("events"), query_string="done=tested"))
    assert "Matchback received the test event. It counts nowhere." in text
    assert "Test event Received 1 event Nothing to count" in text
    assert alice.report(fundraiser)["emails"] == before
    assert get_db().events.count_documents({}) == 0
    (stored,) = get_db().deliveries.find()
    assert (stored["provider"], stored["refused_events"]) == ("events", 0)
    for other in ("sendgrid", "payments", "fax"):
        assert browser.send(f"{page_of(other)}/test").status_code == 404


def test_a_program_may_send_a_test_event_too(alice: University) -> None:
    set_provider_key(alice, "events")
    answer = post_signed(alice, "events", b'[{"type": "test"}]')
    assert (answer.status, answer.json) == (202, {"accepted": 1})
    sweep_due_records()
    assert get_db().deliveries.find_one()["refused_events"] == 0


def test_only_admins_see_the_page_of_their_own_organization(
    alice: University, browser: Browser, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", alice.api)
    his = sign_in_staff(real_client, charlie.id, "charlie@example.edu")
    alice.set_webhook_key()
    alice.deliver([make_event("f" * 24, "click", AT)])
    set_provider_key(alice, "events")
    rejection_notes.note(alice.id, "sendgrid", "wrong_signature")
    rejection_notes.flush()
    text = extract_text(his.get(page_of("sendgrid")))
    assert "No requests yet." in text
    assert his.send(f"{page_of('events')}/test").status_code == 404
    assert get_db().deliveries.count_documents({"organization_id": ObjectId(charlie.id)}) == 0
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", role="viewer")
    assert viewer.get(page_of("sendgrid")).status_code == 403
    assert viewer.send(f"{page_of('events')}/test").status_code == 403
    for unknown in ("fax", "SendGrid", "x" * 100):
        assert browser.get(page_of(unknown)).status_code == 404
