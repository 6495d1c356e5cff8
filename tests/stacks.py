"""Fixtures of the shared stack, which the modules of a folder use together.

Starting a stack takes seconds of processor time. So it runs until a test follows that needs an
empty database, or that is in another folder.
"""

from collections.abc import Iterator

import pytest

from tests.conftest import connected
from tools.testbed.shared_stack import KeptStack
from tools.testbed.stack import Servers, Stack

SHARED, SERVERS = "shared_stack", "real_servers"
KEPT = pytest.StashKey[KeptStack]()


def keep_stack(config: pytest.Config) -> KeptStack:
    """Return the one place of this process for a running stack."""
    return config.stash.setdefault(KEPT, KeptStack())


def uses_shared_stack(item: pytest.Item) -> bool:
    """Return whether a test uses the shared stack, directly or through another fixture."""
    return SHARED in getattr(item, "fixturenames", ())


def keeps_stack(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Return whether the stack of a test can run on while the next test runs."""
    if nextitem is None or nextitem.nodeid.split("/")[:2] != item.nodeid.split("/")[:2]:
        return False
    return uses_shared_stack(nextitem) or SERVERS not in getattr(nextitem, "fixturenames", ())


@pytest.fixture(scope="session")
def kept_stack(request: pytest.FixtureRequest, real_servers: Servers) -> Iterator[KeptStack]:
    """Stop the last stack before its servers stop."""
    kept = keep_stack(request.config)
    yield kept
    kept.stop()


@pytest.fixture
def module_stack(
    kept_stack: KeptStack,
    real_servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
    stack_settings: dict[str, str],
) -> Stack:
    """Return the running stack, or start one on an emptied database."""
    if (running := kept_stack.find(stack_settings)) is not None:
        return running
    uri = real_servers.clear_database()
    with pytest.MonkeyPatch.context() as monkeypatch, connected(real_servers, uri, monkeypatch):
        pass  # The services need the indexes.
    return kept_stack.start(real_servers, uri, tmp_path_factory.mktemp("stack"), stack_settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop the stack after the fixtures have ended, unless it can run on."""
    try:
        yield
    finally:
        if not keeps_stack(item, nextitem):
            keep_stack(item.config).stop()
