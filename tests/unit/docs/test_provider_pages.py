"""The examples in docs/how-to/add-a-provider.md and docs/how-to/providers/events.md work."""

import inspect
import sys
from types import ModuleType
from typing import Any

import httpx
import pytest

import documents.providers
from documents.providers import events, registry
from documents.providers.provider import WebhookRequest, parse_items
from tools.docs.blocks import read_blocks

GUIDE, EVENTS_PAGE = "how-to/add-a-provider.md", "how-to/providers/events.md"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def find_text(page: str, title: str | None = None, language: str = "python") -> str:
    """Return the text of the only block in a language with this title."""
    blocks = [block for block in read_blocks(page) if block.language == language]
    (block,) = [block for block in blocks if block.title == title]
    return block.text


def load(name: str, text: str) -> ModuleType:
    """Return a module as if the reader had saved the text."""
    module = ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Save the example's file next to the other providers."""
    module = load("documents.providers.acme", find_text(GUIDE, "acme.py"))
    monkeypatch.setitem(sys.modules, "documents.providers.acme", module)
    monkeypatch.setattr(documents.providers, "acme", module, raising=False)
    return module


def test_the_example_passes_its_own_test(acme: ModuleType) -> None:
    saved = load("test_acme", find_text(GUIDE, "test_acme.py"))
    tests = [
        value
        for name, value in inspect.getmembers(saved, inspect.isfunction)
        if name.startswith("test_")
    ]
    assert len(tests) == 5
    for test in tests:
        test()


def test_the_registered_line_is_the_provider(acme: ModuleType) -> None:
    """Add the line to the registry as the reader does, and load the registry."""
    source, line = inspect.getsource(registry), find_text(GUIDE, "registry.py", "text")
    first = "    for module in (\n"
    changed = "from documents.providers import acme\n" + source.replace(first, first + line)
    assert {**registry.PROVIDERS, "acme": acme.PROVIDER} == load("registry", changed).PROVIDERS


def test_the_example_signs_events_that_matchback_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[WebhookRequest] = []

    def post(url: str, content: str, headers: dict[str, str]) -> httpx.Response:
        upper = {name.upper(): value for name, value in headers.items()}
        posted.append(WebhookRequest(upper, content.encode(), url))
        return httpx.Response(202)

    monkeypatch.setattr(httpx, "post", post)
    for name, value in {
        "MATCHBACK_URL": "https://matchback.example.edu",
        "ORGANIZATION": "64b7f0a1c2d3e4f5a6b7c8d9",
        "SECRET": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    load("example", find_text(EVENTS_PAGE))
    (request,) = posted
    events.PROVIDER.scheme.check(SECRET)
    assert events.PROVIDER.scheme.is_authentic(SECRET, request)
    (item,) = parse_items(events.PROVIDER.unwrap(request.body))
    assert_complete(item)


def assert_complete(item: dict[str, Any]) -> None:
    """Check that the example has all fields of the page's table, and that they are read."""
    page = "".join(block.text for block in read_blocks(EVENTS_PAGE))
    assert all(f'"{name}"' in page for name in item)
    (report,) = events.PROVIDER.read_events(b"o" * 12, item)
    assert (report.type, report.ip, report.category) == ("click", "192.0.2.1", ("Spring Appeal",))
    assert {*events.TEXT_FIELDS, "type", "at", "mailing", "machine"} == set(item)
