"""Digests on the dashboard, their mails, and unsubscribing from them."""

import email
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId
from falcon import testing

from config import database
from config.settings import get_settings
from documents.access.audit import OpenAct
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.digests.choice import DigestChoice
from documents.digests.unsubscribe_token import make_unsubscribe_token
from documents.fundraiser import Fundraiser
from documents.mail.delivery import send_due_mails
from documents.mail.mail import Mail
from documents.organization import Organization
from documents.removal import remove_record
from documents.reports.put_digests import put_due_digests
from service.mail.digest import render_digest
from service.mail.register import register_renderers
from service.middleware.rate_limit import rate_limit
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.command_line import run_matchback
from tools.testbed.mail_server import run_mail_server
from tools.testbed.pages import Browser, add_staff, extract_text
from tools.testbed.settled import settle_all

SEVEN = datetime(2026, 11, 28, 12, tzinfo=UTC)  # in New York
SENT = "2026-11-20T00:00:00Z"
HOSTILE = '<script>alert(1)</script>"><b>&amp;\r\nBcc: eve@example.org'
ONE_CLICK = "List-Unsubscribe=One-Click"


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[University]:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:25")
    monkeypatch.setenv("MATCHBACK_URL", "https://giving.example.edu")
    get_settings.cache_clear()
    alice = create_university("Alice's University", Api.in_process(real_client))
    Organization.objects(id=alice.id).update(set__time_zone="America/New_York")
    yield alice
    get_settings.cache_clear()


@pytest.fixture
def anna(alice: University) -> Staff:
    """Anna is a viewer of Alice's university."""
    return add_staff(alice.id, "anna@example.edu", "viewer")


@pytest.fixture
def browser(real_client: testing.TestClient, anna: Staff) -> Browser:
    browser = Browser(real_client)
    browser.sign_in(anna.email)
    return browser


def choose(anna: Staff, spring: str, frequency: Any = "daily") -> None:
    fundraiser = Fundraiser.fetch(anna.organization_id, ObjectId(spring))
    DigestChoice.choose(anna.id, fundraiser, frequency, ZoneInfo("America/New_York"))
    DigestChoice.objects.update(
        set__next_due_at=SEVEN, set__changes_since=SEVEN - timedelta(days=1)
    )


def render() -> EmailMessage | None:
    """Write the last mail, and read it as a mail program does."""
    mail = Mail.objects.order_by("-created_at").first()
    staff = Staff.objects.get(id=mail.staff_id)
    made = render_digest(mail, staff, Organization.objects.get(id=mail.organization_id))
    if made is None:
        return None
    read = email.message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    return read


def read_digest() -> tuple[EmailMessage, str, str]:
    """Return the last mail, its HTML and its plain text."""
    read = render()
    assert read is not None
    html, text = read.get_body(["html"]), read.get_body(["plain"])
    assert isinstance(html, EmailMessage)
    assert isinstance(text, EmailMessage)
    return read, html.get_content(), text.get_content().replace("\r\n", "\n")


def give(alice: University, spring: str, amount: int = 1_240_000, **more: Any) -> str:
    gift = alice.gift(spring, amount, donated_at="2026-11-27T20:00:00Z", **more)
    settle_all()
    return gift


class Parts(HTMLParser):
    """Tags, links, and text of an HTML mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(re.sub(r"<style>.*?</style>|<title>.*?</title>", "", html, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def flatten(text: str) -> str:
    return " ".join(text.replace("\xa0", " ").split())


def test_a_viewer_chooses_changes_and_ends_a_digest(
    alice: University, browser: Browser, anna: Staff
) -> None:
    spring = alice.fundraiser("Spring Appeal")
    page = f"/dashboard/fundraisers/{spring}"
    assert "No digests yet" in browser.get("/dashboard/account").text
    for frequency in ("daily", "weekly"):
        assert 'value="none" selected' in browser.get(page).text or frequency == "weekly"
        saved = browser.send(f"{page}/digest", {"frequency": frequency, "place": "fundraiser"})
        assert (saved.status_code, saved.headers["location"][: len(page)]) == (303, page)
        shown = browser.get(saved.headers["location"].split("#")[0])
        assert f'value="{frequency}" selected' in shown.text
        assert "Digest saved." in shown.text
        assert "no mail server" not in shown.text
        (choice,) = DigestChoice.objects
        assert (choice.staff_id, choice.frequency) == (anna.id, frequency)
    assert "Spring Appeal" in browser.get("/dashboard/account").text
    ended = browser.send(f"{page}/digest", {"frequency": "none", "place": "account"})
    assert ended.headers["location"].startswith("/dashboard/account?done=digest")
    assert DigestChoice.objects.count() == 0


def test_a_bad_choice_changes_nothing(alice: University, browser: Browser) -> None:
    spring = alice.fundraiser()
    charlie = create_university("Charlie's University", alice.api)
    browser.get("/dashboard/account")
    at = "/dashboard/fundraisers/{}/digest"
    assert browser.send(at.format(spring), {"frequency": "hourly"}).status_code == 400
    for foreign in (charlie.fundraiser(), UNKNOWN_ID):
        assert browser.send(at.format(foreign), {"frequency": "daily"}).status_code == 404
    browser.token = "0" * 64
    assert browser.send(at.format(spring), {"frequency": "daily"}).status_code == 403
    assert DigestChoice.objects.count() == 0


def test_pages_show_that_no_mail_server_is_set(
    alice: University, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "")
    get_settings.cache_clear()
    for path in (f"/dashboard/fundraisers/{alice.fundraiser()}", "/dashboard/account"):
        assert "No digests are sent" in browser.get(path).text


def test_both_parts_of_a_digest_show_the_same_facts(alice: University, anna: Staff) -> None:
    spring = alice.fundraiser("Spring Appeal")
    appeal = alice.mailing(spring, name="Winter appeal")
    sent = alice.email(spring, mailing_id=appeal, sent_at=SENT)
    give(alice, spring, 1_200_000, email_id=sent)
    give(alice, spring, 40_000, donor={"name": "Eve", "email": "eve@example.org"})
    alice.gift(spring, 1_000_000, donated_at="2026-11-26T20:00:00Z", email_id=sent)
    settle_all()
    choose(anna, spring)
    put_due_digests(SEVEN)
    message, html, text = read_digest()
    assert message["Subject"] == "Spring Appeal: $12,400 on Friday, November 27"
    assert message.get_content_type() == "multipart/alternative"
    parts = Parts(html)
    for fact in (
        "Spring Appeal",
        "Friday, November 27, 2026",
        "$12,400.00",
        "Previous day: $10,000.00 (+24%)".replace("24%", "24.0%"),
        "Previous day: 1 (+100.0%)",
        "Winter appeal",
        "$12,000.00",
        "1 gift",
        "$400.00",
        "Days begin at midnight in America/New_York.",
    ):
        assert fact in flatten(parts.text)
        assert fact in flatten(text)
    home = "https://giving.example.edu/dashboard"
    expected = {
        f"{home}/mailings/{appeal}",
        f"{home}/fundraisers/{spring}",
        f"{home}/gifts?match=none&fundraiser={spring}",
        f"{home}/account#digests-title",
        f"{home}/digests/unsubscribe/{make_unsubscribe_token(anna.id, ObjectId(spring))}",
    }
    assert set(parts.links) == expected
    assert expected == set(re.findall(r"https://\S+", text))
    # No server can see that a person opened the digest.
    assert not parts.tags & {"img", "script", "link", "iframe", "form", "object"}
    assert not parts.names & {"src", "background"}
    assert "url(" not in html


def test_a_mail_arrives_with_the_headers_of_one_click_unsubscribe(
    alice: University, anna: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser("Ä" * 200)
    give(alice, spring)
    choose(anna, spring)
    put_due_digests(SEVEN)
    register_renderers()
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        get_settings.cache_clear()
        assert send_due_mails(lambda: False) == 1
    (mail,) = server.received
    assert mail.recipients == [anna.email]
    raw = mail.content.decode("ascii")
    # On one line and not encoded, because mail programs read it without decoding.
    url = "https://giving.example.edu/dashboard/digests/unsubscribe/"
    assert re.search(rf"^List-Unsubscribe: <{url}[\w-]{{54}}>\r$", raw, re.MULTILINE)
    assert f"\r\nList-Unsubscribe-Post: {ONE_CLICK}\r\n" in raw
    others = [line for line in raw.split("\r\n") if not line.startswith("List-Unsubscribe: ")]
    assert max(map(len, others)) <= 78


def test_names_cannot_add_markup_or_headers(alice: University, anna: Staff) -> None:
    spring = alice.fundraiser("Spring")
    Fundraiser.objects(id=spring).update(set__name=HOSTILE)
    appeal = alice.mailing(spring, name="<img src=x onerror=alert(1)>")
    give(alice, spring, email_id=alice.email(spring, mailing_id=appeal, sent_at=SENT))
    choose(anna, spring)
    put_due_digests(SEVEN)
    message, html, text = read_digest()
    parts = Parts(html)
    assert not parts.tags & {"script", "img", "b"}
    assert "onerror" not in parts.names
    assert "<img src=x onerror=alert(1)>" in parts.text
    assert '<script>alert(1)</script>"><b>&amp;' in parts.text
    assert message["Bcc"] is None
    assert "\nBcc" not in text


def test_a_digest_speaks_german(alice: University, anna: Staff) -> None:
    Organization.objects(id=alice.id).update(set__locale="de-DE")
    spring = alice.fundraiser("Frühling")
    give(alice, spring, 1_240_050, currency="EUR")
    choose(anna, spring)
    put_due_digests(SEVEN)
    message, html, text = read_digest()
    subject = message["Subject"].replace("\xa0", " ")
    assert subject == "Frühling: 12.400,50 € am Freitag, 27. November"
    for fact in ("Freitag, 27. November 2026", "12.400,50 €", "Spendensumme", "Abmelden"):
        assert fact in flatten(Parts(html).text)
        assert fact in flatten(text)
    assert 'lang="de-DE"' in html


def test_an_empty_week_is_short_and_clear(alice: University, anna: Staff) -> None:
    choose(anna, alice.fundraiser("Spring"), "weekly")
    put_due_digests(SEVEN + timedelta(days=2))
    message, _, text = read_digest()
    assert message["Subject"] == "Spring: no gifts in the week of Nov 23 – 29"
    assert "Gifts: 0\n" in text
    assert "Raised" not in text
    assert "MAILINGS" not in text


def test_a_mail_that_waits_ends_with_its_digest(alice: University, anna: Staff) -> None:
    spring = alice.fundraiser()
    choose(anna, spring, "weekly")
    put_due_digests(SEVEN)
    choose(anna, spring, "daily")
    assert render() is None
    choose(anna, spring, "weekly")
    assert render() is not None
    choose(anna, spring, None)
    assert render() is None
    choose(anna, spring, "weekly")
    remove_record(Fundraiser.fetch(anna.organization_id, ObjectId(spring)))
    assert render() is None


def unsubscribe_path(anna: Staff, spring: str) -> str:
    token = make_unsubscribe_token(anna.id, ObjectId(spring))
    return f"/dashboard/digests/unsubscribe/{token}"


def test_one_click_unsubscribes_at_once(
    alice: University, anna: Staff, real_client: testing.TestClient
) -> None:
    spring, autumn = alice.fundraiser("Spring"), alice.fundraiser("Autumn")
    choose(anna, spring)
    choose(anna, autumn)
    path = unsubscribe_path(anna, spring)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(2):  # mail programs repeat requests
        answer = real_client.simulate_post(path, body=ONE_CLICK, headers=headers)
        assert answer.status_code == 200
        assert "You receive no digest of “Spring”." in extract_text(answer)
    assert [one.fundraiser_id for one in DigestChoice.objects] == [ObjectId(autumn)]
    acts = OpenAct.objects(actor=f"staff:{anna.id}", record=spring)
    assert [one.action for one in acts] == ["POST /dashboard/digests/unsubscribe/{token}"]
    choose(anna, spring)  # chosen again, the link works again
    part = 'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click'
    real_client.simulate_post(
        path,
        body=f"--b\r\n{part}\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert DigestChoice.find(anna.id, ObjectId(spring)) is None


def test_a_link_scanner_does_not_unsubscribe(
    alice: University, anna: Staff, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser("Spring")
    choose(anna, spring)
    path = unsubscribe_path(anna, spring)
    for _ in range(3):
        page = real_client.simulate_get(path)
        assert 'method="post"' in page.text
        assert "Stop the digest of “Spring”?" in extract_text(page)
    real_client.simulate_head(path)
    assert DigestChoice.objects.count() == 1


def test_a_link_outlives_the_digest_the_fundraiser_and_the_staff_member(
    alice: University, anna: Staff, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser("Spring")
    path = unsubscribe_path(anna, spring)
    for end in ("digest", "fundraiser", "staff member"):
        if end == "fundraiser":
            remove_record(Fundraiser.fetch(anna.organization_id, ObjectId(spring)))
        elif end == "staff member":
            remove_member(anna, may_be_last_admin=True)
        for method in ("GET", "POST"):
            answer = real_client.simulate_request(method, path)
            assert answer.status_code == 200
            assert "You receive no digest" in extract_text(answer)


def test_a_forged_link_does_nothing(
    alice: University, anna: Staff, real_client: testing.TestClient
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    choose(anna, spring)
    good, other = unsubscribe_path(anna, spring), unsubscribe_path(anna, autumn)
    forged = [good[:-1], good + "A", good[:-22] + other[-22:], other[:-22] + good[-22:]]
    forged += [good.rpartition("/")[0] + "/" + "A" * 54, good[:-4] + "%C3%A9"]
    for path in forged:
        for method in ("GET", "POST"):
            assert real_client.simulate_request(method, path).status_code == 404
    assert DigestChoice.objects.count() == 1


def test_guesses_are_limited(
    alice: University, anna: Staff, real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_ADDRESS_REQUESTS_A_MINUTE", "5")
    get_settings.cache_clear()
    rate_limit.forget()
    path = unsubscribe_path(anna, alice.fundraiser())
    answers = [real_client.simulate_post(path).status_code for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2
    rate_limit.forget()


def test_a_digest_can_be_previewed(
    alice: University, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    spring = alice.fundraiser("Spring")
    give(alice, spring)
    text = run_matchback("digest", "preview", spring, "--day", "2026-11-27").stdout
    assert text.startswith("Subject: Spring: $12,400 on Friday, November 27\n\nSpring\n")
    file = tmp_path / "digest.html"
    run_matchback(
        "digest", "preview", spring, "--weekly", "--day", "2026-11-27", "--html", str(file)
    )
    assert "Nov 23 – 29, 2026" in Parts(file.read_text(encoding="utf-8")).text
    assert run_matchback("digest", "preview", spring).exit_code == 0
    for unknown in (UNKNOWN_ID, "x"):
        assert run_matchback("digest", "preview", unknown).exit_code == 1
    assert Mail.objects.count() == 0


def test_gifts_can_be_limited_to_a_fundraiser(alice: University, browser: Browser) -> None:
    spring, autumn = alice.fundraiser("Spring"), alice.fundraiser("Autumn")
    hers, other = give(alice, spring), give(alice, autumn)
    page = browser.get(f"/dashboard/gifts?match=none&fundraiser={spring}")
    assert hers in page.text
    assert other not in page.text
    assert f"/dashboard/gifts?match=all&amp;fundraiser={spring}" in page.text
    charlie = create_university("Charlie's University", alice.api)
    for foreign, status in ((charlie.fundraiser(), 404), (UNKNOWN_ID, 404), ("x", 422)):
        found = browser.get(f"/dashboard/gifts?fundraiser={foreign}")
        assert found.status_code == status
