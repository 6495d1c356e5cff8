"""Webhooks over HTTP: what proxies and people change, and the notes of rejected requests."""

import gzip

import httpx
import pytest
from bson import ObjectId

from documents.providers.provider import MAX_POST_BYTES
from documents.providers.registry import PROVIDERS
from documents.reports.recent_requests import RejectedRequests, list_recent_requests
from tools.testbed.cast import University, create_university
from tools.testbed.provider_requests import SENDERS, set_provider_key
from tools.testbed.stack import Stack, wait_until


@pytest.fixture
def alice(shared_stack: Stack) -> University:
    return create_university("Alice's University", shared_stack.api())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_behind_a_proxy_is_heard(
    shared_stack: Stack, alice: University, provider: str
) -> None:
    set_provider_key(alice, provider)
    url = f"{shared_stack.url}/v1/webhooks/{provider}/{alice.id}"
    for changed in (f"{url}/", f"{url}//?a=%ff&a", url.replace("/v1/", "//v1/")):
        assert httpx.head(changed).status_code == httpx.get(changed).status_code == 200
        headers, body = SENDERS[provider].sign(b"{}", changed)
        headers |= {"Content-Encoding": "gzip", "Content-Type": "x"}
        answer = httpx.post(changed, content=gzip.compress(body), headers=headers)
        assert answer.status_code == 202, (changed, answer.text)


def test_a_request_that_the_server_rejects_before_the_application_is_noted(
    shared_stack: Stack, alice: University
) -> None:
    url = f"{shared_stack.url}/v1/webhooks/stripe/{alice.id}"
    for body in (b" " * (MAX_POST_BYTES + 1), b"", gzip.compress(b"{}")[:9]):
        httpx.post(url, content=body, headers={"Content-Encoding": "gzip"})

    def reasons() -> set[str]:
        recent = list_recent_requests(ObjectId(alice.id), "stripe")
        return {one.reason for one in recent if isinstance(one, RejectedRequests)}

    wait_until(lambda: reasons() == {"too_large", "damaged_compression"}, "the notes")
    httpx.post(url, content=b"{}")
    wait_until(lambda: "no_key" in reasons(), "another note")
