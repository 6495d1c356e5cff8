"""Shared fixtures: fast ones on mongomock, and real servers that the tests start."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import mongoengine
import pytest
from falcon import testing
from limits.storage import MemoryStorage

from config import database
from config.settings import Settings, get_settings
from documents.giving_links import link_token
from documents.index_tables.former_layout import forget_former_layout
from documents.match import forget_match_layout
from documents.migrations.indexes import update_indexes
from documents.tracking import former_rows
from documents.webhook_rejections import rejection_notes
from jobs import callbacks
from jobs.wakeups import wakeup_buffer
from service.local.supervisor import Supervisor
from service.middleware import api_key
from service.middleware.rate_limit import rate_limit
from tools.testbed.application import build_client
from tools.testbed.cast import Api, University, create_university
from tools.testbed.data_folder import make_data_folder
from tools.testbed.memory_database import MemoryClient
from tools.testbed.shared_stack import hang_up, start_ended_parts
from tools.testbed.stack import Servers, Stack

# Use the same examples in every run and never stop slow ones, so that failures are reproducible.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("steady")

# These tests take half a minute or more. They begin first, so that no process waits for another one
# at the end.
LONG = (
    "tests/system/bench/",
    "tests/system/machines/",
    "tests/system/deploy/",
    "tests/system/documents/settling/test_order.py",
    "tests/system/service/test_fuzz.py",
    "tests/system/test_faults.py",
    "tests/system/test_import_kills.py",
    "tests/system/test_up.py",
    "tests/system/test_package.py",
    "tests/system/test_setup.py",
    "tests/system/test_story.py",
    "tests/system/docs/test_snippets.py",
)


# The imports of all tests create millions of objects that stay, so searching them frees nothing.
gc.disable()

HERE = Path(__file__).parent
FOLDERS = ("unit", "integration", "system", "browser")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name binary content by its argument, because compressed content holds the time.

    All processes of a run must collect the same names.
    """
    is_binary = isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable())
    return argname if is_binary else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, and sort long tests to the front.

    Raises:
        UsageError: a test is in none of the four folders, so its requirements are unknown.
    """
    for item in items:
        if HERE in item.path.parents:
            folder = item.path.relative_to(HERE).parts[0]
            if folder not in FOLDERS:
                raise pytest.UsageError(f"Move {item.path} to a folder of tests/: {FOLDERS}")
            item.add_marker(folder)
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """Collect garbage in the tests, without the objects that stay."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def wakeups(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Record wake-ups as (job, ID) instead of queuing them. Saves schedule jobs as in use."""
    return collect_wakeups(monkeypatch)


def collect_wakeups(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    callbacks.connect_signals()
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(
        wakeup_buffer, "put", lambda task, id_: sent.append((task.task_class.__name__, id_))
    )
    return sent


@pytest.fixture
def mock_database(wakeups: list[tuple[str, str]]) -> Iterator[None]:
    """Connect to an empty database in memory."""
    mongoengine.disconnect_all()
    api_key.forget_api_keys()
    rate_limit.forget(MemoryStorage())
    rejection_notes.forget()
    link_token.forget_link_keys()
    forget_match_layout()
    forget_former_layout()
    former_rows.forget_former_index()
    database.connect_database(
        Settings(mongodb_uri="mongodb://mock/matchback"),
        mongo_client_class=MemoryClient,
    )
    update_indexes()
    yield
    mongoengine.disconnect_all()


@pytest.fixture
def client(mock_database: None) -> testing.TestClient:
    """Return the application on the database in memory, called without a network."""
    return build_client()


@pytest.fixture
def alice(client: testing.TestClient) -> University:
    """Alice raises funds at one university."""
    return create_university("Alice's University", Api.in_process(client))


@pytest.fixture
def charlie(client: testing.TestClient) -> University:
    """Charlie works at another university and must see nothing of Alice's."""
    return create_university("Charlie's University", Api.in_process(client))


@pytest.fixture
def memory_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder like `tmp_path` for servers that the test starts, in memory if possible."""
    with make_data_folder(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture(scope="session")
def real_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start a real MongoDB as a replica set, and a real Redis."""
    supervisor = Supervisor(say=lambda text: None)
    with make_data_folder(tmp_path_factory.mktemp("servers")) as data:
        try:
            started = Servers.start(data, supervisor)
            yield started
            started.hang_up()
        finally:
            supervisor.stop()


@contextmanager
def connected(servers: Servers, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connect this process to a database on the real server, and create missing indexes."""
    monkeypatch.setenv("MATCHBACK_MONGODB_URI", uri)
    monkeypatch.setenv("MATCHBACK_REDIS_URL", servers.redis_url)
    get_settings.cache_clear()
    mongoengine.disconnect_all()
    api_key.forget_api_keys()
    rate_limit.forget()
    rejection_notes.forget()
    link_token.forget_link_keys()
    forget_match_layout()
    forget_former_layout()
    former_rows.forget_former_index()
    try:
        database.connect_database()
        servers.restore_indexes()
        yield
    finally:
        mongoengine.disconnect_all()
        get_settings.cache_clear()


@pytest.fixture
def real_database(
    real_servers: Servers, monkeypatch: pytest.MonkeyPatch, wakeups: list[tuple[str, str]]
) -> Iterator[str]:
    """Provide the URI of an empty database on the real server, with all indexes."""
    uri = real_servers.clear_database()
    with connected(real_servers, uri, monkeypatch):
        yield uri


@pytest.fixture
def real_client(real_database: str) -> testing.TestClient:
    """Return the application on the real database, called without a network.

    `sweep_due_records()` runs jobs.
    """
    return build_client()


@pytest.fixture
def stack(real_database: str, real_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Start the web service and a worker as separate processes, on an empty database."""
    with Stack(real_servers, real_database, tmp_path).up() as running:
        yield running


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """Return the settings of the module's stack, which a module can replace."""
    return {}


@pytest.fixture(scope="module")
def module_stack(
    real_servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
    stack_settings: dict[str, str],
) -> Iterator[Stack]:
    """Start one stack for a module. The database is emptied once, before the first test."""
    uri = real_servers.clear_database()
    with pytest.MonkeyPatch.context() as monkeypatch, connected(real_servers, uri, monkeypatch):
        pass  # The services need the indexes.
    folder = tmp_path_factory.mktemp("stack")
    with Stack(real_servers, uri, folder, environment=dict(stack_settings)).up() as running:
        yield running


@pytest.fixture
def shared_stack(
    module_stack: Stack,
    real_servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    wakeups: list[tuple[str, str]],
) -> Iterator[Stack]:
    """Return the module's stack, and connect this process to its database.

    At the end, close the test's connections, and start the parts that the test killed. Tests that
    use this stack have their own universities, and do not compare the whole database.
    """
    with connected(real_servers, module_stack.mongodb_uri, monkeypatch):
        yield module_stack
    start_ended_parts(module_stack)
    hang_up(module_stack)
