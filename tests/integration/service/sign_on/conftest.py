"""Alma University signs its staff in through a provider in this process. Bolt has its own."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from bson import ObjectId
from falcon import testing

from config.settings import get_settings
from documents.access.audit import OpenAct
from documents.access.staff import Staff
from documents.sign_on.discovery import forget_metadata
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.signing_keys import forget_signing_keys
from tools.testbed.cast import University
from tools.testbed.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    run_identity_provider,
)
from tools.testbed.pages import Browser

LEAVING_PATTERN = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"')
ALICE = "alice@example.edu"


@pytest.fixture(autouse=True)
def private_networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Allow providers on the loopback address."""
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.0/8")
    get_settings.cache_clear()
    forget_metadata()
    forget_signing_keys()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        yield provider


@pytest.fixture
def other_idp() -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        yield provider


@pytest.fixture
def alma(alma: University, idp: IdentityProvider) -> University:
    set_provider(alma, idp)
    return alma


@pytest.fixture
def bolt(bolt: University, other_idp: IdentityProvider) -> University:
    set_provider(bolt, other_idp, "bolt.example.edu")
    return bolt


@pytest.fixture
def browser(real_client: testing.TestClient) -> Browser:
    return Browser(real_client)


def set_provider(
    place: University, idp: IdentityProvider, domain: str = "example.edu", **rules: Any
) -> SignOnProvider:
    """Give a university a provider, which admits everyone of the domain."""
    stored = SignOnProvider.put(ObjectId(place.id), idp.issuer, CLIENT_ID, CLIENT_SECRET)
    return stored.set_domains([domain]).set_rules(**{"admission": "domain", **rules})


def find_provider(place: University) -> SignOnProvider:
    found = SignOnProvider.of(ObjectId(place.id))
    assert found
    return found


def read_leaving_url(answer: testing.Result) -> str:
    """Return the URL of the provider to which a page leads."""
    assert answer.status_code == 200, answer.text
    found = LEAVING_PATTERN.search(answer.text)
    assert found, answer.text
    return unescape(found[1])


def begin(browser: Browser, email: str = ALICE, **fields: str) -> str:
    """Enter an address on the sign-in page. Return the URL at the provider."""
    browser.get("/dashboard/sign-in")
    return read_leaving_url(browser.send("/dashboard/sign-in", {"email": email, **fields}))


def come_back(browser: Browser, place: University, query: dict[str, str]) -> testing.Result:
    path = f"/dashboard/sign-in/sso/{place.id}"
    return browser.get(path, query_string=urlencode(query))


def sign_on(
    browser: Browser, place: University, idp: IdentityProvider, **claims: Any
) -> testing.Result:
    """Sign in through the university's provider. Return the answer to the browser's return."""
    url = begin(browser, claims.get("email", ALICE), organization=place.id)
    answer = come_back(browser, place, idp.authorize(url, **claims))
    if answer.status_code == 303:
        browser.get("/dashboard/account")  # for the token of forms
    return answer


def find_staff(place: University, email: str = ALICE) -> Staff:
    found = Staff.known(email, ObjectId(place.id))
    assert found
    return found


def list_actions(place: University) -> list[str]:
    """Return what the audit records, oldest first."""
    acts = OpenAct.objects(organization_id=ObjectId(place.id)).order_by("id")
    return [str(act.action) for act in acts]
