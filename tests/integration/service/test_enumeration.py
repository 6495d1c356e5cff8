"""No entrance shows which addresses have an account.

For each entrance and each kind of address, the answer is the same: status, headers, cookies and
body. So is its cost: the checks of passwords, the commands that MongoDB gets, and the requests to
the provider. The cost stands for the time, because a clock on a busy machine proves nothing.
docs/security.md has measured times.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from falcon import testing
from mongoengine.base import BaseDocument

from documents.access import password as hashing
from tests.integration.service.entrances import (
    ADDING_ENTRANCES,
    ENTRANCES,
    make_subject,
    reset,
    sign_in,
)
from tests.integration.service.enumeration_scene import KINDS, KNOWN, Scene, run_scene
from tools.testbed.commands import read_command_name
from tools.testbed.pages import STAFF_PASSWORD, Browser

ALL_ENTRANCES = {**ENTRANCES, **ADDING_ENTRANCES}
# To add a person without an account migrates the person, which takes more queries.
MIGRATED_KIND = "of the earlier layout"
# Of each request and each page, these differ, whatever the address.
VARYING = re.compile(
    r"\b(?:[0-9a-f]{64}|[0-9a-f]{24}|[0-9a-f]{32})\b|(?<![\w-])[\w-]{43}(?![\w-])", re.ASCII
)
VARYING_HEADERS = {"x-request-id", "etag", "content-length", "set-cookie"}
READS = {"find", "aggregate", "count"}


@pytest.fixture
def scene(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with run_scene(monkeypatch) as made:
        yield made


def describe(result: testing.Result, email: str) -> tuple[Any, ...]:
    """Return what the sender of a request sees."""
    kept = {
        name: VARYING.sub("…", value)
        for name, value in result.headers.items()
        if name not in VARYING_HEADERS
    }
    cookies = {
        name: (bool(one.value), one.max_age, one.path, one.secure, one.http_only)
        for name, one in result.cookies.items()
    }
    body = result.text
    for spelled in (email, quote(email, safe="")):
        body = body.replace(spelled, "ADDRESS")
    return result.status_code, kept, cookies, VARYING.sub("…", body)


def read_cost(scene: Scene, entrance: str) -> tuple[Any, ...]:
    """Return the checks of passwords, the commands, and the requests to the provider.

    Where a person is added, a new account and a changed one count alike: both are one write.
    """
    sent = [(read_command_name(one), one) for one in scene.commands.sent]
    commands = [(name, str(one[name])) for name, one in sent]
    if entrance in ADDING_ENTRANCES:
        commands = sorted(("read" if name in READS else "write", of) for name, of in commands)
    return list(scene.hasher.work), commands, list(scene.idp.requests)


@pytest.mark.parametrize("entrance", ALL_ENTRANCES)
def test_every_kind_of_address_gets_the_same_answer_at_the_same_cost(
    scene: Scene, entrance: str
) -> None:
    enter = ALL_ENTRANCES[entrance]
    enter(scene, "first@example.edu")  # fills caches
    seen = {}
    for kind, email in KINDS.items():
        if entrance in ADDING_ENTRANCES and kind == MIGRATED_KIND:
            continue
        scene.reset()
        results = enter(scene, email)
        cost = read_cost(scene, entrance)
        seen[kind] = ([describe(one, email) for one in results], cost)
    assert seen["unknown"][1][1]
    for kind, one in seen.items():
        assert one == seen["unknown"], kind


def test_the_table_would_notice_a_difference(scene: Scene) -> None:
    """The correct password is the one difference that a sign-in may show."""
    known = Browser(scene.client).sign_in(KNOWN, STAFF_PASSWORD)
    unknown = Browser(scene.client).sign_in(KINDS["unknown"], STAFF_PASSWORD)
    assert describe(known, KNOWN) != describe(unknown, KINDS["unknown"])
    assert len({make_subject(email) for email in KINDS.values()}) == len(KINDS)


def test_the_first_check_of_a_process_costs_the_same(scene: Scene) -> None:
    costs = []
    for kind in ("known", "unknown"):
        hashing._nobodys.cache_clear()
        scene.hasher.work.clear()
        sign_in(scene, KINDS[kind])
        costs.append(list(scene.hasher.work))
    assert costs[0] == costs[1] == ["hash", "verify"]


@pytest.mark.parametrize("enter", [sign_in, reset])
def test_an_unknown_address_takes_the_work_of_as_many_records(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, enter: Callable[[Scene, str], Any]
) -> None:
    built: list[str] = []
    build = vars(BaseDocument)["_from_son"].__func__

    def count(kind: Any, *given: Any, **more: Any) -> Any:
        built.append(kind.__name__)
        return build(kind, *given, **more)

    monkeypatch.setattr(BaseDocument, "_from_son", classmethod(count))
    seen = {}
    for kind in ("known", "unknown", "removed", "never signed in", "with single sign-on"):
        built.clear()
        enter(scene, KINDS[kind])
        seen[kind] = sorted(built)
    assert seen == {kind: ["Account", "Staff"] for kind in seen}
