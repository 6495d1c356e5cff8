"""Alice connects a provider on its page, and sees whether it works."""

import json

from playwright.sync_api import expect

from tests.browser.conftest import Desk
from tools.testbed.cast import export_public_key
from tools.testbed.provider_requests import STANDARD_SECRET

PEM = "\ufeff-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n"


def test_alice_pastes_a_pem_file_and_sees_the_first_request(desk: Desk) -> None:
    key = export_public_key(desk.place.signing_key)
    page = desk.sign_in()
    desk.open("/dashboard/settings")
    page.get_by_role("link", name="SendGrid").click()
    page.get_by_text("No requests yet. Set the key first.").wait_for()
    page.get_by_label("Key from the provider").focus()
    page.evaluate(
        f"document.execCommand('insertText', false, {json.dumps(PEM.format(key[:64], key[64:]))})"
    )
    page.get_by_role("button", name="Set key").click()
    page.get_by_text("Key set.").wait_for()
    desk.place.deliver([])
    expect(page.locator("#recent tbody tr")).to_have_count(1, timeout=30_000)  # without a reload
    assert desk.place.api.call("POST", f"/v1/webhooks/sendgrid/{desk.place.id}").status == 401
    rejected = page.get_by_text("The signature or password was missing.")
    rejected.wait_for(timeout=30_000)


def test_alice_sends_a_test_event_with_the_keyboard(desk: Desk) -> None:
    page = desk.sign_in()
    desk.open("/dashboard/settings/providers/events")
    page.get_by_label("Key from the provider").focus()
    page.keyboard.insert_text(f"  {STANDARD_SECRET}\n")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Key set.").wait_for()
    page.get_by_role("button", name="Send a test event").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("Matchback received the test event.")
    row = page.locator("#recent tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Test event")
    expect(row).to_contain_text("Nothing to count", timeout=30_000)
