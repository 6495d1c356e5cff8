"""Alice's university signs its staff in through a provider in this process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet

from config.settings import get_settings
from documents.sign_on.discovery import forget_metadata
from documents.sign_on.rejections import SignOnReason, SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.signing_keys import forget_signing_keys
from service.dashboard.presentation.sign_on_texts import explain_rejection, explain_to_admin
from service.sign_on.begin import begin_sign_in
from service.sign_on.finish import SignedOn, SignInAnswer, finish_sign_in
from tools.testbed.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    run_identity_provider,
)

ALICES_UNIVERSITY = ObjectId("a" * 24)
BROWSER = "secret-in-the-cookie-of-alices-browser"


@pytest.fixture
def sign_on_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", Fernet.generate_key().decode())
    get_settings.cache_clear()
    forget_metadata()
    forget_signing_keys()
    yield
    get_settings.cache_clear()


@pytest.fixture
def idp(sign_on_settings: None) -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        yield provider


@pytest.fixture
def university(mock_database: None, idp: IdentityProvider) -> SignOnProvider:
    """Return the provider of Alice's university, which admits everyone of example.edu."""
    stored = SignOnProvider.put(ALICES_UNIVERSITY, idp.issuer, CLIENT_ID, CLIENT_SECRET)
    return stored.set_domains(["example.edu"]).set_rules(admission="domain")


@pytest.fixture
def sign_in(university: SignOnProvider, idp: IdentityProvider) -> Callable[..., SignedOn]:
    """Return a function that signs Alice in. Its arguments change the claims of her ID token."""

    def sign_in(**claims: Any) -> SignedOn:
        query = idp.authorize(begin_sign_in(university, BROWSER), **claims)
        return finish(query)

    return sign_in


def finish(query: dict[str, str], browser: str = BROWSER) -> SignedOn:
    """Let the browser return from the provider with this query."""
    answer = SignInAnswer(
        state=query.get("state", ""),
        code=query.get("code"),
        issuer=query.get("iss"),
        error=query.get("error"),
    )
    return finish_sign_in(ALICES_UNIVERSITY, browser, answer)


def find_reason(act: Callable[[], Any]) -> SignOnReason:
    """Return why an act is rejected."""
    with pytest.raises(SignOnRejected) as caught:
        act()
    for explain in (explain_rejection, explain_to_admin):
        assert explain(caught.value.reason).endswith((".", "?"))
    return caught.value.reason
