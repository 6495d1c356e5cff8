"""Every visible text of every page is in the catalogues.

The pages are shown in Greek formats with Greek data, through a catalogue that marks each text. So
Latin letters outside a mark are a text that no catalogue has.
"""

import gettext
import re
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from typing import get_args

import pytest
from bson import ObjectId
from falcon import testing

from documents.access.api_key import ApiKey
from documents.access.staff import Staff
from documents.donation import Donation
from documents.outgoing.endpoint_tests import note_test
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.webhook_endpoint import DisabledReason, WebhookEndpoint
from documents.people.duplicate import Duplicate
from documents.providers.registry import PROVIDERS
from documents.user import User
from documents.values.time import now
from documents.webhook_rejections import REJECTION_REASONS, rejection_notes
from jobs.sweep import sweep_due_records
from service.dashboard.pages.webhook_endpoints import ENDPOINT_MESSAGES
from service.dashboard.presentation import language
from service.dashboard.presentation.attempt_labels import ERROR_LABELS
from service.dashboard.presentation.language import TRANSLATIONS
from tests.integration.service.test_dashboard import fail, walk
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.pages import Browser, add_staff
from tools.testbed.provider_requests import set_provider_key
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

GREEK = "Άνοιξη"
PLACEHOLDER = re.compile(r"(%\(\w+\)s|\{\w+\}|`[^`]*`)")
MARKED = re.compile(r"⟦[^⟧]*⟧")
LATIN = re.compile(r"[A-Za-z]{2,}")
SHOWN_ATTRIBUTES = frozenset("alt aria-label placeholder title data-title data-live".split())
SHOWN_ATTRIBUTES |= {f"data-{state}" for state in ("stale", "away", "behind", "gone")}
# Names, addresses, codes of currencies, the time zone, and the name of the product.
DATA = re.compile(
    r"\S+@\S+|https?://\S+|[0-9a-f]{24,32}|evt_[0-9a-f]{24}|pi_\w+|JP¥|\{time\}|\{duration\}"
    r"|\b(Matchback|USD|JPY|UTC)\b"
)
AT = 1_790_000_000


def pseudo(message: str) -> str:
    """Mark the words of a message, but not what is inserted into it."""
    parts = PLACEHOLDER.split(message)
    return "".join(part if PLACEHOLDER.fullmatch(part) else f"⟦{part}⟧" for part in parts if part)


class Pseudo(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        return pseudo(one if number == 1 else many)


class Visible(HTMLParser):
    """The texts that a person sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"input", "br", "meta", "link", "rect", "polyline", "path"}:
            self.open.append(tag)
        self.texts += [value or "" for name, value in attrs if name in SHOWN_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        # Commands and keys are not translated. Each language is named in itself.
        is_name = "select" in self.open and "option" in self.open
        if not {"code", "script", "style"} & set(self.open) and not is_name:
            self.texts.append(data)


def untranslated(page: str) -> list[str]:
    reader = Visible()
    reader.feed(page)
    bare = (DATA.sub("", MARKED.sub("", text)) for text in reader.texts)
    return [text.strip() for text in bare if LATIN.search(text)]


@pytest.fixture
def greek(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Return a Greek catalogue that marks every text."""
    monkeypatch.setattr(language, "catalogues", lambda: frozenset({"el"}))
    monkeypatch.setattr(language, "catalogue", lambda name: Pseudo())
    language.language_of.cache_clear()
    yield
    language.language_of.cache_clear()


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    place = create_university(GREEK, Api.in_process(real_client))
    ApiKey.objects(organization_id=ObjectId(place.id)).update(set__name=GREEK)
    place.call("PATCH", "/v1/organization", {"locale": "el-GR"})
    return place


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    staff = add_staff(alice.id, "alice@example.edu")
    Staff.objects(id=staff.id).update(set__name=GREEK)
    signed_in = Browser(real_client)
    signed_in.sign_in("alice@example.edu")
    return signed_in


def person(address: str) -> dict[str, str]:
    return {"name": GREEK, "email": address}


def furnish(place: University) -> dict[str, str]:
    """Something of every kind that a page can show."""
    place.set_webhook_key()
    money = {"amount": 10_000, "currency": "USD"}
    sent_at = "2026-09-20T10:00:00Z"
    spring = place.fundraiser(GREEK, goal=money)
    place.fundraiser(GREEK)
    mailing = place.mailing(spring, name=GREEK, subject=GREEK, sent_at=sent_at, cost=money)
    bob, eve = person("bob@example.edu"), person("eve@example.edu")
    email = place.email(spring, bob, mailing_id=mailing, sent_at=sent_at)
    others = [
        place.email(spring, person(f"{number}@example.edu"), mailing_id=mailing)
        for number in range(4)
    ]
    alone = place.email(spring, eve, sent_at=sent_at)
    types = "processed deferred delivered open click".split()
    place.deliver([make_event(email, type_, AT + at) for at, type_ in enumerate(types)])
    place.deliver(
        [make_event(email, "click", AT + 9, url="https://give.example.edu", machine=True)]
    )
    for one, type_ in zip(others, ("bounce", "dropped", "spamreport", "unsubscribe"), strict=True):
        place.deliver([make_event(one, type_, AT)])
    sweep_due_records()
    gift = place.gift(spring, email_id=email, donor=bob)
    place.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 100})
    for status in ("pending", "failed"):
        place.gift(spring, 100, bob, status=status)
    place.gift(spring, 4000, eve)
    lost = place.gift(spring, 4000, person("stranger@example.org"))
    place.gift(spring, 4000, {"name": "Anonymous"}, currency="JPY")
    sweep_due_records()
    Donation.objects.get(id=gift).pin_to(alone)
    sweep_due_records()
    set_stripe_secret(place)
    post_stripe_event(place, make_charge_event("succeeded", billing_details=bob))
    place.deliver([make_event(email, "open", AT + 3), make_event("f" * 24, "open", AT), {}])
    for reason in REJECTION_REASONS:
        rejection_notes.note(place.id, "sendgrid", reason)
        rejection_notes.note(place.id, "sendgrid", reason)
    rejection_notes.flush()
    sweep_due_records()
    place.gift(spring, 100, bob)
    set_provider_key(place, "events")
    set_provider_key(place, "events", "whsec_" + "a" * 40)
    place.deliver([make_event(email, "open", AT + 4)])
    return {
        "fundraisers": spring,
        "mailings": mailing,
        "people": place.get(f"/v1/emails/{email}")["user_id"],
        "gifts": gift,
        "lost": lost,
        "emails": others[0],
        **furnish_endpoints(place),
    }


def furnish_endpoints(place: University) -> dict[str, str]:
    """Add an endpoint in each state. The first one has an event of each type and state."""
    owner = ObjectId(place.id)
    first, _ = WebhookEndpoint.add(owner, "https://crm.example.edu/", description=GREEK)
    failing, failed = {"failing_since": now(), "succeeded_at": now()}, {"failed_at": now()}
    WebhookEndpoint.objects(id=first.id).update(**failing)
    for reason in get_args(DisabledReason):
        endpoint, _ = WebhookEndpoint.add(owner, "https://crm.example.edu/")
        endpoint.change(partial(WebhookEndpoint._switch, reason=reason))
    ids = []
    for type_ in (*OUTGOING_EVENT_TYPES, *OUTGOING_EVENT_TYPES):
        ids.append(note_test(first).id)
        EventDelivery.objects(id=ids[-1]).update(type=type_, data={"user_id": ObjectId()})
    errors = [{"at": now(), "seconds": 1, "error": text} for text in ERROR_LABELS]
    redirect = {"at": now(), "seconds": 1, "status": 301, "error": "Status 301."}
    ended = EventDelivery.objects(id__in=ids[:3])
    ended.update(attempts=[*errors, redirect], unset__next_attempt_at=True, **failed)
    delivered = EventDelivery.objects(id=ids[3])
    delivered.update(unset__next_attempt_at=True, delivered_at=now())
    return {"webhook-endpoints": str(first.id), "event-deliveries": str(ids[0])}


def pages(ids: dict[str, str]) -> Iterator[str]:
    yield from walk(ids)
    yield f"/dashboard/gifts/{ids['lost']}"
    yield f"/dashboard/gifts/{ids['lost']}?q=%CE%B1"
    for match in ("direct", "indirect", "all"):
        yield f"/dashboard/gifts?match={match}"
    for did in ("opened", "clicked", "gave", "bounced", "left"):
        yield f"/dashboard/mailings/{ids['mailings']}?did={did}"
    yield f"/dashboard/mailings/{ids['mailings']}?q=%CE%B1"
    yield f"/dashboard/fundraisers/{ids['fundraisers']}?mailings=all"
    yield "/dashboard?q=%CE%B1"
    for done in "made revoked policy default locale endpoint-deleted".split():
        yield f"/dashboard/settings?done={done}"
    for done in "set removed tested untested".split():
        yield f"/dashboard/settings/providers/events?done={done}"
    endpoint = f"/dashboard/settings/webhook-endpoints/{ids['webhook-endpoints']}"
    for done in ENDPOINT_MESSAGES:
        yield f"{endpoint}?done={done}"
    for state in ("pending", "failed", "delivered"):
        yield f"{endpoint}?state={state}"
    for delivery in EventDelivery.objects(endpoint_id=ids["webhook-endpoints"]):
        yield f"{endpoint}/deliveries/{delivery.id}?done=resent"
    for other in WebhookEndpoint.objects():
        yield f"/dashboard/settings/webhook-endpoints/{other.id}"
        yield f"/dashboard/settings/webhook-endpoints/{other.id}?state=failed"
    yield "/dashboard/account?done=changed"
    yield "/dashboard/payments?done=waiting"
    yield "/dashboard/health?done=retried"
    yield f"/dashboard/gifts/{ids['gifts']}?done=pinned"
    yield "/dashboard/gifts?match=nothing"
    yield "/dashboard/gifts?cursor=x"
    yield "/dashboard/fundraisers/x"


def load(browser: Browser, at: str) -> str:
    path, _, query = at.partition("?")
    page: str = browser.get(path, query_string=query).text
    return page


@pytest.mark.usefixtures("greek")
def test_every_visible_text_of_every_page_is_in_the_catalogues(
    alice: University, browser: Browser
) -> None:
    empty = ["/dashboard", "/dashboard/gifts", "/dashboard/payments", "/dashboard/settings"]
    empty += [f"/dashboard/settings/providers/{name}" for name in PROVIDERS]
    found = {path: untranslated(load(browser, path)) for path in empty}
    ids = furnish(alice)
    found |= {f"{path}, with data": untranslated(load(browser, path)) for path in pages(ids)}
    fail(ids["emails"])
    of = ObjectId(ids["people"])
    User.objects(id=of).update(unset__address=True)
    known = {"organization_id": ObjectId(alice.id), "collection": "users", "noted_at": now()}
    Duplicate(id=of, kept_id=ObjectId(), **known).save()
    health = load(browser, "/dashboard/health")
    assert "⟦Duplicate people⟧" in health
    assert "⟦Count an email⟧" in health
    found["failed jobs"] = untranslated(health)
    bare = alice.fundraiser(GREEK)
    found["bare"] = untranslated(load(browser, f"/dashboard/fundraisers/{bare}"))
    mailing = alice.mailing(bare, name=GREEK)
    found["bare mailing"] = untranslated(load(browser, f"/dashboard/mailings/{mailing}"))
    assert {path: texts for path, texts in found.items() if texts} == {}


@pytest.mark.usefixtures("greek")
def test_what_a_viewer_sees_and_each_error_is_in_the_catalogues(
    alice: University, browser: Browser, real_client: testing.TestClient
) -> None:
    ids = furnish(alice)
    found = {}
    endpoint = f"/dashboard/settings/webhook-endpoints/{ids['webhook-endpoints']}"
    wrong: list[tuple[str, dict[str, object]]] = [
        ("/dashboard/api-keys", {"name": "", "scopes": "all"}),
        ("/dashboard/webhook-keys", {"provider": "sendgrid", "key": "x"}),
        ("/dashboard/webhook-keys", {"provider": "fax", "key": "x"}),
        ("/dashboard/match-policy", {"days": "0", "touch": "x", "other_fundraiser": "y"}),
        ("/dashboard/locale", {"locale": "xx"}),
        (f"{endpoint}", {"url": "x", "events": [], "description": "x" * 1001}),
        (f"{endpoint}", {"url": "ftp://x", "events": ["email.bounced"]}),
        ("/dashboard/settings/webhook-endpoints", {"key": "x"}),
        ("/dashboard/account", {"password": "short"}),
        ("/dashboard/account", {"password": "passwordpassword", "current": "x"}),
        (f"/dashboard/gifts/{ids['lost']}/pin", {}),
        (f"/dashboard/gifts/{ids['lost']}/pin", {"email": "f" * 24}),
        ("/dashboard/sign-out", {"form_token": "x"}),
    ]
    for path, fields in wrong:
        browser.get("/dashboard/account")
        answer = browser.send(path, fields)
        assert answer.status_code in {400, 403, 422}, (path, answer.status_code)
        found[f"{path} {sorted(fields)}"] = untranslated(answer.text)
    viewer = Browser(real_client)
    staff = add_staff(alice.id, "vera@example.edu", "viewer")
    Staff.objects(id=staff.id).update(set__name=GREEK)
    viewer.sign_in("vera@example.edu")
    for path in walk(ids):
        found[f"{path}, as a viewer"] = untranslated(load(viewer, path))
    stranger = Browser(real_client)
    header = {"Accept-Language": "el"}
    sign_in = stranger.get("/dashboard/sign-in", headers=header)
    assert '<html lang="el"' in sign_in.text
    found["sign-in"] = untranslated(sign_in.text)
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_a_german_organization_has_german_pages_and_formats(
    alice: University, browser: Browser
) -> None:
    ids = furnish(alice)
    alice.call("PATCH", "/v1/organization", {"locale": "de-AT"})
    page = load(browser, f"/dashboard/fundraisers/{ids['fundraisers']}")
    assert '<html lang="de-AT" dir="ltr">' in page
    for text in ("Spendensumme", "Kampagnen", "Per Link", "Als Tabelle anzeigen"):
        assert text in page
    assert re.search(r"\$\s\d+,00", page)
    csv = browser.get(f"/dashboard/fundraisers/{ids['fundraisers']}/mailings.csv").text
    assert '"Mailing","Gesendet am","Gesendete E-Mails","Zustellrate"' in csv
    assert '"2026-09-20T10:00:00+00:00"' in csv
    assert ".00" in csv


def test_a_language_without_a_catalogue_has_english_pages_in_its_formats(
    alice: University, browser: Browser
) -> None:
    furnish(alice)
    alice.call("PATCH", "/v1/organization", {"locale": "fr-FR"})
    page = load(browser, "/dashboard")
    assert '<html lang="en-US" dir="ltr">' in page
    assert ">Fundraisers<" in page
    assert re.search(r"\d,00\s\$US", page)


def test_an_admin_sets_the_language_on_the_settings_page(
    alice: University, browser: Browser
) -> None:
    assert 'value="el-GR" selected' in load(browser, "/dashboard/settings")
    answer = browser.send("/dashboard/locale", {"locale": "de-de"})
    assert answer.headers["location"] == "/dashboard/settings?done=locale"
    assert alice.get("/v1/organization")["locale"] == "de-DE"
    assert "Einstellungen" in load(browser, "/dashboard/settings")
    wrong = browser.send("/dashboard/locale", {"locale": "xx"})
    assert wrong.status_code == 422
    assert alice.get("/v1/organization")["locale"] == "de-DE"


def test_the_catalogues_are_in_the_package() -> None:
    assert (TRANSLATIONS / "de.po").is_file()
