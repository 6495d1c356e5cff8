"""Each route of the dashboard requires the role in the table, and only that table decides."""

from collections.abc import Iterator

import pytest
from falcon import testing

from documents.access.roles import STAFF_ROLES, includes_role
from service.dashboard.route_roles import PUBLIC_ROUTES, ROUTE_ROLES
from service.routes import DASHBOARD_ROUTES
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.pages import Browser, sign_in_staff

UNSAFE_FOR_A_WALK = {"POST /dashboard/sign-out"}


def list_routes() -> Iterator[str]:
    for path, resource, suffix in DASHBOARD_ROUTES:
        for verb in ("get", "post"):
            if hasattr(resource, f"on_{verb}_{suffix}" if suffix else f"on_{verb}"):
                yield f"{verb.upper()} {path}"


def test_the_table_has_every_route_and_no_other() -> None:
    routes = list(list_routes())
    assert len(routes) > 60
    assert sorted(routes) == sorted([*PUBLIC_ROUTES, *ROUTE_ROLES])


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def visit(browser: Browser, route: str) -> testing.Result:
    method, path = route.split(" ")
    at = path.replace("{name}", "sendgrid").replace("{table}", "links")
    at = at.replace("{id}", UNKNOWN_ID).replace("{delivery_id}", UNKNOWN_ID)
    if method == "POST":
        return browser.send(at)
    query = "watch=new_donations:" + UNKNOWN_ID if path == "/dashboard/live" else ""
    return browser.get(at, query_string=query)


def test_without_a_session_each_route_leads_to_the_sign_in(
    real_client: testing.TestClient, alice: University
) -> None:
    for route in ROUTE_ROLES:
        answer = visit(Browser(real_client), route)
        assert answer.status_code == 303, route
        assert answer.headers["location"].startswith("/dashboard/sign-in"), route


@pytest.mark.parametrize("role", STAFF_ROLES)
def test_each_role_reaches_its_routes_and_no_other(
    real_client: testing.TestClient, alice: University, role: str
) -> None:
    """A form without its fields, or for a missing record, is rejected after the check."""
    browser = sign_in_staff(real_client, alice.id, "staff@example.edu", role)
    token = browser.token
    for route, required in ROUTE_ROLES.items():
        if route in UNSAFE_FOR_A_WALK:
            continue
        browser.token = token
        answer = visit(browser, route)
        may = includes_role(role, required)
        assert (answer.status_code != 403) == may, (route, answer.status_code)
        assert answer.status_code < 500, route


@pytest.mark.parametrize("role", STAFF_ROLES)
def test_pages_offer_only_what_the_role_may_do(
    real_client: testing.TestClient, alice: University, role: str
) -> None:
    gift = alice.gift(alice.fundraiser())
    browser = sign_in_staff(real_client, alice.id, "staff@example.edu", role)
    page = browser.get("/dashboard").text
    assert ('href="/dashboard/imports"' in page) == (role != "viewer")
    assert ('href="/dashboard/settings"' in page) == (role == "admin")
    page = browser.get(f"/dashboard/gifts/{gift}").text
    assert (f"/dashboard/gifts/{gift}/pin" in page) == (role != "viewer")


def test_each_page_has_the_sign_out(real_client: testing.TestClient, alice: University) -> None:
    browser = sign_in_staff(real_client, alice.id, "staff@example.edu", "admin")
    pages = {
        route.removeprefix("GET ")
        for route in ROUTE_ROLES
        if route.startswith("GET ") and "{" not in route
    }
    shown = 0
    for path in sorted(pages - {"/dashboard/live"}):
        answer = browser.get(path)
        if answer.headers.get("content-type", "").startswith("text/html"):
            shown += 1
            assert 'action="/dashboard/sign-out"' in answer.text, path
    assert shown >= 8
