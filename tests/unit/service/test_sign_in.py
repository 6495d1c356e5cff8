"""Staff sign in to the dashboard with a password or by a link, and sign out."""

from base64 import urlsafe_b64decode
from datetime import timedelta

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.audit import OpenAct
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.values.time import now
from tools.testbed.cast import University
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text

ALICE = "alice@example.edu"
LINK = "/dashboard/sign-in/link"


@pytest.fixture
def browser(client: testing.TestClient, alice: University) -> Browser:
    add_staff(alice.id, ALICE)
    return Browser(client)


def test_alice_signs_in_and_sees_her_fundraisers(browser: Browser, alice: University) -> None:
    alice.fundraiser("Spring Giving Day")
    answer = browser.sign_in("Alice@Example.edu")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    page = browser.get("/dashboard")
    assert page.status_code == 200
    assert "Spring Giving Day" in page.text


def test_the_session_cookie_is_httponly_and_samesite(
    browser: Browser,
) -> None:
    cookie = browser.sign_in(ALICE).cookies["matchback-session"]
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert cookie.path == "/"
    stored = get_db().staff_sessions.find_one()
    assert cookie.value not in str(stored)


def test_session_secrets_have_256_random_bits(browser: Browser) -> None:
    made = []
    for _ in range(3):
        made.append(browser.sign_in(ALICE).cookies["matchback-session"].value)
    made += [StaffSession.begin(Staff.named(ALICE)) for _ in range(200)]
    assert len(set(made)) == len(made)
    bits = [urlsafe_b64decode(f"{one}=") for one in made]
    assert {len(one) for one in bits} == {32}
    for place in range(32):  # each byte varies
        assert len({one[place] for one in bits}) > 80


def test_over_tls_the_cookie_is_secure(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from config.settings import get_settings

    monkeypatch.setenv("MATCHBACK_URL", "https://matchback.example.edu")
    get_settings.cache_clear()
    try:
        cookie = browser.sign_in(ALICE).cookies["__Host-matchback-session"]
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert cookie.secure
    assert cookie.domain is None


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (ALICE, "wrong horse battery"),
        ("nobody@example.edu", STAFF_PASSWORD),
        ("", ""),
        (ALICE, STAFF_PASSWORD * 50),
        ("\0", "\0"),
        ("{$gt: ''}", STAFF_PASSWORD),
    ],
)
def test_a_wrong_password_and_an_unknown_address_look_the_same(
    browser: Browser, email: str, password: str
) -> None:
    answer = browser.sign_in(email, password)
    assert answer.status_code == 422
    assert "Incorrect email or password." in answer.text
    assert "matchback-session" not in answer.cookies


def test_passwords_are_hashed_with_argon2id(alice: University) -> None:
    Staff.add(ObjectId(alice.id), "Alice", ALICE, "admin", STAFF_PASSWORD)
    stored = get_db().accounts.find_one({"address": ALICE})
    assert stored["password"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_ten_guesses_a_minute_for_one_account_are_the_limit(browser: Browser) -> None:
    answers = [browser.sign_in(ALICE, f"wrong horse {number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert browser.sign_in(ALICE).status_code == 429  # not even with the correct password
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    fields = {"email": ALICE, "password": STAFF_PASSWORD}
    assert browser.send("/dashboard/sign-in", fields, extras=elsewhere).status_code == 303


def test_a_hundred_guesses_from_all_addresses_are_the_limit(browser: Browser) -> None:
    browser.get("/dashboard/sign-in")
    fields = {"email": ALICE, "password": "wrong horse battery"}
    statuses = [
        browser.send(
            "/dashboard/sign-in", fields, extras={"REMOTE_ADDR": f"192.0.2.{number // 9}"}
        ).status_code
        for number in range(101)
    ]
    assert statuses == [422] * 100 + [429]


def test_thirty_guesses_for_many_accounts_are_the_limit(browser: Browser) -> None:
    answers = [browser.sign_in(f"user{number}@example.edu") for number in range(31)]
    assert answers[-1].status_code == 429


def test_without_a_session_every_page_redirects_to_sign_in_and_back(browser: Browser) -> None:
    there = "/dashboard/gifts?match=link"
    answer = browser.get("/dashboard/gifts", query_string="match=link")
    assert answer.status_code == 303
    assert answer.headers["location"] == (
        "/dashboard/sign-in?back=%2Fdashboard%2Fgifts%3Fmatch%3Dlink"
    )
    assert browser.sign_in(ALICE, back=there).headers["location"] == there


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example",
        "//evil.example",
        "/dashboard//evil",
        "/dashboard/../v1",
        "/\\evil.example",
        "/dashboardx",
        "javascript:alert(1)",
        "/dashboard\r\nSet-Cookie: a=b",
    ],
)
def test_signing_in_redirects_only_to_own_pages(browser: Browser, back: str) -> None:
    location = browser.sign_in(ALICE, back=back).headers["location"]
    assert location == "/dashboard" or not location.startswith(("//", "http", "java", "/\\"))
    assert "\n" not in location


@pytest.mark.parametrize("token", ["", "0" * 64, "x", "é"])
def test_a_form_of_another_browser_does_nothing(browser: Browser, token: str) -> None:
    browser.get("/dashboard/sign-in")
    browser.token = token
    fields = {"email": ALICE, "password": STAFF_PASSWORD}
    assert browser.send("/dashboard/sign-in", fields).status_code == 403
    browser.sign_in(ALICE)
    browser.get("/dashboard")
    browser.token = token
    assert browser.send("/dashboard/sign-out").status_code == 403
    assert browser.get("/dashboard").status_code == 200


def test_a_form_from_another_site_does_nothing_even_with_a_token(browser: Browser) -> None:
    browser.sign_in(ALICE)
    browser.get("/dashboard")
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert browser.send("/dashboard/sign-out", headers=headers).status_code == 403


def test_the_token_of_one_browser_is_useless_in_another(
    browser: Browser, client: testing.TestClient
) -> None:
    browser.sign_in(ALICE)
    browser.get("/dashboard")
    other = Browser(client)
    other.sign_in(ALICE)
    other.token = browser.token
    assert other.send("/dashboard/sign-out").status_code == 403


def test_signing_in_creates_a_new_session_and_ends_the_old_one(browser: Browser) -> None:
    browser.sign_in(ALICE)
    first = dict(browser.cookies)
    browser.sign_in(ALICE)
    assert first != browser.cookies
    assert StaffSession.objects.count() == 1


def test_signing_out_ends_only_this_browsers_session(
    browser: Browser, client: testing.TestClient
) -> None:
    other = Browser(client)
    for one in (browser, other):
        one.sign_in(ALICE)
        one.get("/dashboard")
    before = dict(browser.cookies)
    answer = browser.send("/dashboard/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/sign-in")
    assert other.get("/dashboard").status_code == 200
    browser.cookies = before  # a copied cookie no longer works
    assert browser.get("/dashboard").status_code == 303


def test_a_dropped_cookie_is_deleted_and_holds_no_secret(browser: Browser) -> None:
    browser.sign_in(ALICE)
    browser.get("/dashboard")
    gone = browser.send("/dashboard/sign-out")
    expires = gone.cookies["matchback-session"].expires
    assert expires
    assert expires < now()
    assert gone.headers["clear-site-data"] == '"cache"'
    browser.cookies["matchback-visitor"] = ""
    tokens = set()
    for _ in range(2):
        browser.cookies["matchback-visitor"] = ""
        browser.get("/dashboard/sign-in")
        tokens.add(browser.token)
    assert len(tokens) == 2  # each new visitor gets a new token


def test_signing_in_with_a_password_during_its_replacement_fails(
    browser: Browser, client: testing.TestClient
) -> None:
    """The password was correct, but a sign-out of all sessions precedes the new session."""
    slow = sign_in_by_password(ALICE, STAFF_PASSWORD)
    assert slow
    link = SignInLink.make(slow)
    Staff.named(ALICE).set_password("another horse battery")
    browser.cookies["matchback-session"] = StaffSession.begin(slow)
    assert browser.get("/dashboard").status_code == 303
    late = SignInLink.make(slow)
    for secret in (link, late):
        other = Browser(client)
        other.get(LINK, query_string=f"token={secret}")
        assert other.send(LINK, {"token": secret}).status_code in {403, 422}


def test_signing_out_everywhere_ends_all_sessions(
    browser: Browser, client: testing.TestClient
) -> None:
    other = Browser(client)
    for one in (browser, other):
        one.sign_in(ALICE)
        one.get("/dashboard")
    browser.send("/dashboard/sign-out", {"everywhere": "1"})
    assert other.get("/dashboard").status_code == 303


def test_a_new_password_ends_the_other_sessions(
    browser: Browser, client: testing.TestClient
) -> None:
    other = Browser(client)
    other.sign_in(ALICE)
    browser.sign_in(ALICE)
    browser.get("/dashboard/account")
    fields = {"current": STAFF_PASSWORD, "password": "another horse battery"}
    assert browser.send("/dashboard/account", fields).status_code == 303
    assert browser.get("/dashboard").status_code == 200
    assert other.get("/dashboard").status_code == 303
    assert other.sign_in(ALICE).status_code == 422
    assert other.sign_in(ALICE, "another horse battery").status_code == 303


@pytest.mark.parametrize(
    "fields",
    [
        {"current": "wrong horse battery", "password": "another horse battery"},
        {"current": STAFF_PASSWORD, "password": "short"},
        {"current": STAFF_PASSWORD, "password": "x" * 201},
        {"password": "another horse battery"},
    ],
)
def test_a_password_change_needs_the_current_one_and_a_long_one(
    browser: Browser, fields: dict[str, str]
) -> None:
    browser.sign_in(ALICE)
    browser.get("/dashboard/account")
    assert browser.send("/dashboard/account", fields).status_code == 422
    assert Staff.named(ALICE).has_password(STAFF_PASSWORD)


def test_a_link_signs_in_once_and_may_set_a_forgotten_password(
    browser: Browser, client: testing.TestClient
) -> None:
    secret = SignInLink.make(Staff.named(ALICE))
    for _ in range(2):  # scanners open links before people do, which must not use the link up
        assert Browser(client).get(LINK, query_string=f"token={secret}").status_code == 200
    browser.get(LINK, query_string=f"token={secret}")
    answer = browser.send(LINK, {"token": secret})
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/account")
    browser.get("/dashboard/account")
    fields = {"password": "another horse battery"}
    assert browser.send("/dashboard/account", fields).status_code == 303
    again = Browser(client).get(LINK, query_string=f"token={secret}")
    assert again.status_code == 422
    assert "was already used" in again.text


def test_an_expired_or_invalid_link_does_not_sign_in(browser: Browser) -> None:
    old = SignInLink.make(Staff.named(ALICE), timedelta(seconds=-1))
    for token in (old, "x", "%00", "a" * 200):
        answer = browser.get("/dashboard/sign-in/link", query_string=f"token={token}")
        assert answer.status_code == 422, token
        assert "matchback-session" not in answer.cookies


def test_a_session_ends_after_twelve_idle_hours(browser: Browser) -> None:
    browser.sign_in(ALICE)
    StaffSession.objects.update(set__expires_at=now() - timedelta(seconds=1))
    assert browser.get("/dashboard").status_code == 303


def test_an_open_page_alone_does_not_extend_a_session(browser: Browser) -> None:
    browser.sign_in(ALICE)
    hours_ago = now() - timedelta(hours=11)
    StaffSession.objects.update(set__last_used_at=hours_ago)
    browser.get("/dashboard", headers={"X-Refresh": "1"})
    assert StaffSession.objects.first().last_used_at == hours_ago
    browser.get("/dashboard")
    assert StaffSession.objects.first().last_used_at > hours_ago


def test_a_session_by_link_needs_the_current_password_after_a_while(browser: Browser) -> None:
    browser.sign_in(ALICE)
    StaffSession.objects.update(set__by_link=True)
    browser.get("/dashboard/account")
    StaffSession.objects.update(set__created_at=now() - timedelta(minutes=16))
    fields = {"password": "another horse battery"}
    assert browser.send("/dashboard/account", fields).status_code == 422


def test_a_session_in_use_lasts_at_most_a_week(browser: Browser) -> None:
    browser.sign_in(ALICE)
    long_ago = now() - timedelta(days=7) + timedelta(hours=1)
    StaffSession.objects.update(
        set__created_at=long_ago,
        set__last_used_at=now() - timedelta(hours=1),
        set__expires_at=now() + timedelta(minutes=5),
    )
    browser.get("/dashboard")
    left = StaffSession.objects.first().expires_at - now()
    assert timedelta(minutes=55) < left <= timedelta(hours=1)


def test_signing_in_is_audited_without_an_address(browser: Browser) -> None:
    browser.sign_in(ALICE)
    act = OpenAct.objects.first()
    assert act.actor == f"staff:{Staff.named(ALICE).id}"
    assert act.action == "POST /dashboard/sign-in"
    assert ALICE not in str(act.to_mongo())


def test_a_viewer_sees_everything_except_settings_and_changes_nothing(
    browser: Browser, alice: University
) -> None:
    add_staff(alice.id, "viewer@example.edu", "viewer")
    browser.sign_in("viewer@example.edu")
    for path in ("/dashboard", "/dashboard/gifts", "/dashboard/health", "/dashboard/account"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "/dashboard/settings" not in page.text
    refused = browser.get("/dashboard/settings")
    assert refused.status_code == 403
    assert "Only admins of your organization" in extract_text(refused)
    browser.get("/dashboard")
    gift = alice.gift(alice.fundraiser())
    for path in (f"gifts/{gift}/pin", f"jobs/{ObjectId()}/retry", "api-keys", "match-policy"):
        assert browser.send(f"/dashboard/{path}").status_code == 403, path


def test_errors_are_shown_on_a_page(browser: Browser) -> None:
    answer = browser.get("/dashboard/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text
    browser.sign_in(ALICE)
    long = "q=" + "%F0%9F%98%80" * 170
    location = Browser(browser.client).get("/dashboard", query_string=long).headers["location"]
    assert location == "/dashboard/sign-in"  # too long to return to
    for path in (
        "/dashboard?sort=secret",
        "/dashboard?page=0",
        "/dashboard?x=1",
        "/dashboard?q=%00",
    ):
        where, _, query = path.partition("?")
        assert browser.get(where, query_string=query).status_code in {400, 422}, path
