"""Each provider is one entry of the registry, and everything else derives from it."""

import pytest

from documents.errors import Unusable
from documents.providers.provider import count_body_items, parse_items
from documents.providers.registry import EMAIL_PROVIDERS, PAYMENT_PROVIDERS, PROVIDERS
from service.api.openapi_parts import SECURITY_SCHEMES
from service.routes import API_ROUTES


def test_provider_names_match_stored_data_and_urls() -> None:
    emails = "sendgrid ses mailgun postmark resend brevo sparkpost mandrill events".split()
    assert [*EMAIL_PROVIDERS, *PAYMENT_PROVIDERS] == list(PROVIDERS)
    assert emails == EMAIL_PROVIDERS
    assert PAYMENT_PROVIDERS == ["stripe", "payments"]


def test_each_provider_has_a_webhook_a_key_documentation_and_a_label() -> None:
    paths = {path for path, _, _ in API_ROUTES}
    for name, provider in PROVIDERS.items():
        assert f"/v1/webhooks/{name}/{{organization_id}}" in paths
        assert f"/v1/webhook-keys/{name}" in paths
        assert provider.label
        assert provider.setup
        assert provider.example
        if provider.headers:
            assert SECURITY_SCHEMES[name]["name"] in provider.headers


def test_a_body_is_an_array_of_items_or_one_item() -> None:
    for body, number in ((b'[{"event": "open"}, {}]', 2), (b' {"event": "open"}', 1), (b"[]", 0)):
        assert count_body_items(body) == len(parse_items(body)) == number
    for body in (b"", b"1", b'"text"', b"null", b"event=open"):
        with pytest.raises(Unusable):
            parse_items(body)
