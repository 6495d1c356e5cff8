"""Each route without sign-in has a limit by client and, for a given address, one by address."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from falcon import testing
from limits.storage import MemoryStorage

from config.settings import Settings, get_settings
from documents.providers.registry import PROVIDERS
from service.api.openapi import list_operations
from service.dashboard.route_roles import PUBLIC_ROUTES
from service.middleware import rate_limit as module
from service.middleware.rate_limit import PASSWORD_RESETS_A_MINUTE, SIGN_INS_A_MINUTE
from service.routes import API_ROUTES
from tests.unit.service.test_scopes import KEYLESS
from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.cast import UNKNOWN_ID, University
from tools.testbed.pages import Browser

LIMIT = 3
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Load balancers and Prometheus send requests all day. Assets are a few files in memory.
UNLIMITED = {
    *("GET /healthz", "GET /readyz", "GET /metrics"),
    "GET /dashboard/assets/{version}/{name}",
}
API_PUBLIC_ROUTES = [
    f"{verb.upper()} {path}"
    for path, verb, declared, _ in list_operations(API_ROUTES)
    if not declared.scope
]
LIMITED_ROUTES = [one for one in (*API_PUBLIC_ROUTES, *PUBLIC_ROUTES) if one not in UNLIMITED]
# Pages without sign-in that have a field for an address, and how each form is limited.
ADDRESS_PAGES = {"/dashboard/sign-in", "/dashboard/password"}
ADDRESS_FORMS: list[tuple[str, dict[str, str], Mapping[str, int]]] = [
    ("/dashboard/sign-in", {"password": "wrong horse battery"}, SIGN_INS_A_MINUTE),
    ("/dashboard/sign-in", {}, module.SIGN_ONS_A_MINUTE),
    ("/dashboard/password", {}, PASSWORD_RESETS_A_MINUTE),
]
ROW = re.compile(r"^\| [^|]+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Allow three requests a minute without credentials. There is a mail server for resets."""
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:1")
    get_settings.cache_clear()
    config = Settings(address_requests_a_minute=LIMIT)
    monkeypatch.setattr(module, "get_settings", lambda: config)
    module.rate_limit.forget(MemoryStorage())
    yield
    module.rate_limit.forget()
    monkeypatch.undo()
    get_settings.cache_clear()


def visit(client: testing.TestClient, route: str, address: str) -> testing.Result:
    method, path = route.split(" ")
    for name, value in {"token": "x", "version": "x", "name": "x"}.items():
        path = path.replace(f"{{{name}}}", value)
    path = path.replace("{organization_id}", UNKNOWN_ID)
    extras = {"REMOTE_ADDR": address}
    if method == "GET":
        return client.simulate_get(path, extras=extras)
    is_form = path.startswith("/dashboard")
    body, headers = ("email=x", FORM) if is_form else ("[]", {"Content-Type": "application/json"})
    return client.simulate_post(path, body=body, headers=headers, extras=extras)


def test_the_walk_has_each_route_without_a_key_or_a_session() -> None:
    assert {one.split(" ")[1] for one in API_PUBLIC_ROUTES} >= KEYLESS
    assert set(PUBLIC_ROUTES) - set(LIMITED_ROUTES) == set(PUBLIC_ROUTES) & UNLIMITED
    assert len(LIMITED_ROUTES) > 25


@pytest.mark.parametrize("route", LIMITED_ROUTES)
def test_each_route_without_sign_in_has_a_limit_by_client(
    client: testing.TestClient, route: str
) -> None:
    answers = [visit(client, route, "192.0.2.1") for _ in range(LIMIT + 1)]
    assert all(one.status_code != 429 for one in answers[:LIMIT])
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert visit(client, route, "192.0.2.2").status_code != 429


@pytest.mark.parametrize("path", ["/v1/webhooks/mandrill", "/v1/webhooks/mandrill/" + UNKNOWN_ID])
def test_a_check_of_a_webhooks_url_has_the_limit_of_its_client(
    client: testing.TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Anyone can send it, and it is answered before a key is looked up."""
    checked = replace(PROVIDERS["mandrill"], is_url_check=lambda _: True)
    monkeypatch.setitem(PROVIDERS, "mandrill", checked)
    answers = [visit(client, f"POST {path}", "192.0.2.1").status_code for _ in range(LIMIT + 1)]
    assert answers == [202] * LIMIT + [429]
    assert visit(client, f"POST {path}", "192.0.2.2").status_code == 202


def test_pages_of_staff_have_the_same_limit_without_a_session(client: testing.TestClient) -> None:
    answers = [visit(client, "GET /dashboard", "192.0.2.1").status_code for _ in range(LIMIT + 1)]
    assert answers == [303] * LIMIT + [429]


def test_each_form_for_an_address_is_in_the_table(
    client: testing.TestClient, alice: University
) -> None:
    found = set()
    for route in PUBLIC_ROUTES:
        method, path = route.split(" ")
        if method == "GET" and "{" not in path:
            page = visit(client, route, "192.0.2.1").text
            found |= {path} if 'name="email"' in page else set()
            module.rate_limit.forget(MemoryStorage())
    assert found == ADDRESS_PAGES == {path for path, _, _ in ADDRESS_FORMS}


@pytest.mark.parametrize(("path", "fields", "limits"), ADDRESS_FORMS)
def test_each_form_for_an_address_has_a_limit_by_address(
    client: testing.TestClient,
    alice: University,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, str],
    limits: dict[str, int],
) -> None:
    """Each request comes from another client, so only the address can be the reason."""
    for kind in limits:
        if kind.endswith("-account"):
            monkeypatch.setitem(limits, kind, LIMIT)
    statuses = [send(client, path, fields, number) for number in range(LIMIT + 1)]
    assert 429 not in statuses[:LIMIT]
    assert statuses[-1] == 429
    assert send(client, path, fields, 98, "BOB@Example.edu") == 429  # another spelling
    assert send(client, path, fields, 99, "charlie@example.edu") != 429


def send(
    client: testing.TestClient,
    path: str,
    fields: dict[str, Any],
    number: int,
    email: str = "bob@example.edu",
) -> int:
    browser, extras = Browser(client), {"REMOTE_ADDR": f"192.0.2.{number}"}
    browser.get(path, extras=extras)
    return browser.send(path, {"email": email, **fields}, extras=extras).status_code


def test_an_organizations_own_page_has_no_limit_for_all_clients(
    client: testing.TestClient, alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends no address, so one stranger must not use up the limit of everyone."""
    monkeypatch.setitem(module.SIGN_ONS_A_MINUTE, "sign-on-account", 1)
    fields = {"organization": alice.id}
    for number in range(3):
        assert send(client, "/dashboard/sign-in", fields, number, "") != 429


def test_the_documentation_has_the_limits() -> None:
    page = (DOCS_FOLDER / "explanation" / "security.md").read_text()
    part = page.partition("## Rate limits")[2].partition("\n## ")[0]
    rows = [tuple(int(one.replace(",", "")) for one in row) for row in ROW.findall(part)]
    known = (SIGN_INS_A_MINUTE, module.SIGN_ONS_A_MINUTE, PASSWORD_RESETS_A_MINUTE)
    assert rows == [tuple(limits.values()) for limits in known]
    assert f"{Settings().address_requests_a_minute} a minute" in part
    named = set(re.findall(r"`((?:GET|POST) [^`]+)`", part))
    assert named == {*PUBLIC_ROUTES, "POST /dashboard/account"}
    assert {f"GET {path}" for path in re.findall(r"`(/\w+)`", part)} >= UNLIMITED - named
