"""Each provider is one entry of the registry, and everything else derives from it."""

from documents.providers.registry import PAYMENT_PROVIDERS, PROVIDERS
from service.api.openapi_parts import SECURITY_SCHEMES
from service.dashboard.pages import administration
from service.dashboard.presentation import wording
from service.routes import API_ROUTES


def test_provider_names_match_stored_data_and_urls() -> None:
    assert list(PROVIDERS) == ["sendgrid", "stripe", "payments"]
    assert PAYMENT_PROVIDERS == ["stripe", "payments"]


def test_each_provider_has_a_webhook_a_key_documentation_and_a_label() -> None:
    paths = {path for path, _, _ in API_ROUTES}
    for name, provider in PROVIDERS.items():
        assert f"/v1/webhooks/{name}/{{organization_id}}" in paths
        assert f"/v1/webhook-keys/{name}" in paths
        assert SECURITY_SCHEMES[name]["name"] in provider.signed_headers
        assert name in administration.WEBHOOK_PROVIDER_NAMES
    assert list(wording.PROVIDER_LABELS) == PAYMENT_PROVIDERS


def test_a_post_is_counted_by_its_provider() -> None:
    body = b'[{"event": "open"}, {"event": "click"}]'
    assert {name: one.count(body) for name, one in PROVIDERS.items()} == {
        "sendgrid": 2,
        "stripe": 1,
        "payments": 1,
    }
