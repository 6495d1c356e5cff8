"""The deletion of Alma University closes every entrance at once, also to rows that arrive late."""

from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents import webhook_key
from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.mail.mail import Mail
from documents.organization import Organization
from documents.organizations.deletion_request import ENTRANCES, request_deletion
from documents.values.time import now
from service.dashboard.route_roles import PUBLIC_ROUTES
from service.middleware.api_key import forget_api_keys
from service.routes import DASHBOARD_ROUTES
from tests.integration.service.sign_on.conftest import begin, come_back, find_staff, sign_on
from tests.integration.service.sign_on.test_hostile_returns import fill
from tests.integration.service.sign_on.test_sign_out import build_logout, post_logout
from tools.testbed.cast import University, make_event
from tools.testbed.identity_provider import IdentityProvider
from tools.testbed.pages import Browser, add_staff, sign_in_staff

BEN, EVE = "ben@example.edu", "eve@example.edu"
LATE_COLLECTIONS = (*ENTRANCES, "staff", "accounts")
# Public routes that open nothing of an organization.
HARMLESS_ROUTES = {
    "GET /",
    "GET /dashboard/assets/{version}/{name}",
    "GET /dashboard/sign-in",
    "GET /dashboard/password",
    "GET /dashboard/digests/unsubscribe/{token}",
    "POST /dashboard/digests/unsubscribe/{token}",
}
Entrances = dict[str, Callable[[], bool]]


class Openings:
    """Ways into Alma University, for one attempt each. The keys name public routes."""

    def __init__(
        self, client: testing.TestClient, alma: University, bolt: University, idp: IdentityProvider
    ) -> None:
        self.client, self.alma, self.idp = client, alma, idp
        self.own = ObjectId(alma.id)
        # Another person each time, because a later reset link voids the earlier one.
        anna = add_staff(alma.id, f"anna-{ObjectId()}@example.edu", "viewer")
        self.ben = find_staff(alma, BEN)
        self.link = SignInLink.make(self.ben)
        self.invitation = SignInLink.make_invitation(self.ben)
        self.reset = PasswordResetLink.make(anna, now())
        self.waiting = Browser(client)
        self.query = idp.authorize(begin(self.waiting, organization=alma.id), email=BEN, sub="ben")
        self.eve = Browser(client)
        self.eve.sign_in(EVE)
        self.eve.get("/dashboard/account")
        self.email = alma.email(alma.fundraiser())

    def list_ways(self) -> Entrances:
        """Return functions that report whether an entrance is open."""
        return {
            "API key": self._uses_key,
            "webhook": self._delivers,
            "switch": self._switches,
            "POST /dashboard/sign-in": self._signs_in_by_password,
            "POST /dashboard/sign-in by domain": lambda: self._leads(email=BEN),
            "POST /dashboard/sign-in by organization": lambda: self._leads(
                organization=self.alma.id
            ),
            "GET /dashboard/sign-in/link": lambda: self._shows("sign-in/link", self.link),
            "POST /dashboard/sign-in/link": lambda: self._uses_link(self.link),
            "POST /dashboard/sign-in/link of an invitation": lambda: self._uses_link(
                self.invitation
            ),
            "GET /dashboard/sign-in/sso/{organization_id}": self._comes_back,
            "POST /dashboard/sign-out/back-channel/{organization_id}": self._ends_sessions,
            "POST /dashboard/password": self._asks_for_reset,
            "GET /dashboard/password/new": lambda: self._shows("password/new", self.reset),
            "POST /dashboard/password/new": self._resets,
        }

    def _uses_key(self) -> bool:
        forget_api_keys()
        return self.alma.call("GET", "/v1/fundraisers").status == 200

    def _delivers(self) -> bool:
        webhook_key._known.clear()
        return self.alma.deliver([make_event(self.email, "open", 1_700_000_000)]).status < 300

    def _switches(self) -> bool:
        answer = self.eve.send("/dashboard/organization", {"organization": self.alma.id})
        return answer.headers.get("location") == "/dashboard"

    def _signs_in_by_password(self) -> bool:
        return Browser(self.client).sign_in(BEN).status_code == 303

    def _leads(self, **fields: str) -> bool:
        browser = Browser(self.client)
        browser.get("/dashboard/sign-in")
        return browser.send("/dashboard/sign-in", fields).status_code == 200

    def _shows(self, path: str, token: str) -> bool:
        answer = Browser(self.client).get(f"/dashboard/{path}", query_string=f"token={token}")
        return answer.status_code == 200

    def _uses_link(self, token: str) -> bool:
        browser = Browser(self.client)
        browser.get("/dashboard/sign-in")
        return browser.send("/dashboard/sign-in/link", {"token": token}).status_code == 303

    def _comes_back(self) -> bool:
        return come_back(self.waiting, self.alma, self.query).status_code == 303

    def _ends_sessions(self) -> bool:
        return post_logout(self.client, self.alma, build_logout(self.idp)).status_code == 200

    def _asks_for_reset(self) -> bool:
        browser = Browser(self.client)
        browser.get("/dashboard/password")
        browser.send("/dashboard/password", {"email": BEN})
        return bool(Mail.objects(organization_id=self.own, staff_id=self.ben.id).delete())

    def _resets(self) -> bool:
        browser = Browser(self.client)
        browser.get("/dashboard/password")
        fields = {"token": self.reset, "password": "seven quiet herons wading"}
        return browser.send("/dashboard/password/new", fields).status_code == 303


@pytest.fixture
def sessions(
    real_client: testing.TestClient,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Browser]:
    """Ben is signed in by password, and Alice by the provider. Eve belongs to both."""
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:25")
    get_settings.cache_clear()
    alma.set_webhook_key()
    signed_on = Browser(real_client)
    sign_on(signed_on, alma, idp)
    add_staff(bolt.id, EVE)
    Staff.add(ObjectId(alma.id), "Eve", EVE, "admin")
    Staff.known(EVE, ObjectId(bolt.id)).note_sign_in()  # type: ignore[union-attr]
    return [sign_in_staff(real_client, alma.id, BEN), signed_on]


def read_rows() -> dict[str, list[dict[str, Any]]]:
    return {name: list(get_db()[name].find()) for name in LATE_COLLECTIONS}


def store_again(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Store the rows, as requests do that began before the deletion."""
    for name, found in rows.items():
        for row in found:
            get_db()[name].replace_one({"_id": row["_id"]}, row, upsert=True)


def list_shown(browsers: list[Browser]) -> set[tuple[str, ObjectId]]:
    """Return what the streams of open pages ask about."""
    found = [StaffSession.current(one.cookies["matchback-session"]) for one in browsers]
    return {(one.id, one.organization_id) for one in found if one}


@pytest.mark.parametrize("is_late", [False, True])
def test_every_entrance_closes_at_once(
    real_client: testing.TestClient,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    sessions: list[Browser],
    is_late: bool,
) -> None:
    first = Openings(real_client, alma, bolt, idp).list_ways()
    named = {" ".join(name.split()[:2]) for name in first}
    assert set(PUBLIC_ROUTES) - named == HARMLESS_ROUTES
    second = Openings(real_client, alma, bolt, idp).list_ways()
    rows, shown = read_rows(), list_shown(sessions)
    assert all(one.get("/dashboard").status_code == 200 for one in sessions)
    assert StaffSession.list_current(shown) == shown
    assert {name: is_open() for name, is_open in first.items()} == dict.fromkeys(first, True)
    request_deletion(Organization.named(alma.id))
    if is_late:
        store_again(rows)
    assert {name: is_open() for name, is_open in second.items()} == dict.fromkeys(second, False)
    assert StaffSession.list_current(shown) == set()
    for browser in sessions:
        check_that_no_page_opens(browser)


def check_that_no_page_opens(browser: Browser) -> None:
    token, walked = browser.token, 0
    for path, resource, suffix in DASHBOARD_ROUTES:
        for verb in ("get", "post"):
            responder = getattr(resource, f"on_{verb}_{suffix}" if suffix else f"on_{verb}", None)
            if not getattr(responder, "needs_session", False):
                continue
            browser.token, at = token, fill(path, {})
            answer = browser.get(at) if verb == "get" else browser.send(at)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/dashboard/sign-in"), path
            walked += 1
    assert walked > 60


def test_a_deletion_overtakes_the_answer_of_the_provider(
    alma: University, idp: IdentityProvider, browser: Browser
) -> None:
    def sign_after_deletion(claims: dict[str, Any]) -> str:
        request_deletion(Organization.named(alma.id))
        return idp.sign(claims)

    query = idp.authorize(begin(browser))
    idp.make_token = sign_after_deletion
    assert come_back(browser, alma, query).status_code == 403
    assert Staff.objects(organization_id=ObjectId(alma.id)).count() == 0
    assert "matchback-session" not in browser.cookies
