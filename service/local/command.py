"""The steps of `matchback up`: start all parts, wait, and stop all parts."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from config.database import check_deployment, connect_database
from config.hosts import to_reachable_host
from config.settings import Settings
from documents.migrations.upgrade import upgrade_database
from service.local import addresses, instance, servers
from service.local.log_once import FailureReporter
from service.local.readiness import is_ready
from service.local.supervisor import Part, PartFailed, Say, Supervisor

SUPERVISION_INTERVAL_SECONDS = 0.2
GUNICORN_CONFIG_FILE = "gunicorn.conf.py"


class Stopped(BaseException):
    """The user pressed Ctrl-C, or the process received SIGTERM."""


class LocalDeployment:
    """The running parts: their addresses, and the supervisor that watches them."""

    def __init__(self, data: Path, port: int | None, say: Say) -> None:
        self.data = data
        self.port = port
        self.say = say
        self.supervisor = Supervisor(say)
        self.state = instance.load_state(data)
        self.addresses: dict[str, str] = {}
        self._noted: dict[str, int] = {}
        self._noting = FailureReporter(say, f"writing to {data}")

    def start(self) -> None:
        """Start all parts in order."""
        instance.end_leftover_processes(self.state, self.say)
        self._start_mongodb()
        self._start_redis()
        host = Settings.from_env().host
        port = self._web_port(host)
        self.addresses["MATCHBACK_URL"] = f"http://{to_reachable_host(host)}:{port}"
        self.addresses["MATCHBACK_MASTER_KEYS"] = instance.ensure_master_keys(self.data)
        self.addresses["MATCHBACK_WAREHOUSE_URL"] = self._warehouse_url()
        self._prepare_database()
        environment = {
            **self.addresses,
            "MATCHBACK_PORT": str(port),
            "MATCHBACK_HOST": host,
            # People read these logs, in the files and when a part fails.
            "MATCHBACK_LOG_FORMAT": os.environ.get("MATCHBACK_LOG_FORMAT", "text"),
        }
        addresses.write_addresses(self.data, self.addresses)
        log = self.data / "log"
        web_url = self.addresses["MATCHBACK_URL"]
        self.say(f"starting a worker, a sender, and the web service on {web_url}")
        # Start the worker first, so that everything runs when the web service reports that it is
        # ready.
        self._start(Part("worker", build_worker_command(), log / "worker.log", environment))
        web = Part("web", build_serve_command(), log / "web.log", environment, ready=self._is_ready)
        self._start(web)
        exporter = [*build_matchback_command(), "warehouse", "worker"]
        self._start(Part("warehouse", exporter, log / "warehouse.log", environment))
        self._start(Part("sender", build_sender_command(), log / "sender.log", environment))

    def watch(self) -> None:
        """Restart dead parts, and store the current PIDs."""
        self.supervisor.watch()
        if self.supervisor.pids() != self._noted:
            with self._noting.attempt():
                self._note()

    def stop(self) -> None:
        """Stop all parts, and remove their addresses."""
        with contextlib.suppress(OSError):
            addresses.env_file_path(self.data).unlink(missing_ok=True)
        self.supervisor.stop()
        with self._noting.attempt():
            self._note()

    def _start_mongodb(self) -> None:
        given = self._given("MATCHBACK_MONGODB_URI")
        if given:
            self.addresses["MATCHBACK_MONGODB_URI"] = given
            return
        port = self._free_port("mongodb")
        self.say(f"starting MongoDB on port {port}")
        self._start(servers.build_mongodb_part(self.data, port))
        servers.make_primary(port)
        self._ours("MATCHBACK_MONGODB_URI", servers.build_mongodb_uri(port))

    def _start_redis(self) -> None:
        given = self._given("MATCHBACK_REDIS_URL")
        if given:
            self.addresses["MATCHBACK_REDIS_URL"] = given
            return
        port = self._free_port("redis")
        self.say(f"starting Redis on port {port}")
        self._start(servers.build_redis_part(self.data, port))
        self._ours("MATCHBACK_REDIS_URL", servers.build_redis_url(port))

    def _warehouse_url(self) -> str:
        given = self._given("MATCHBACK_WAREHOUSE_URL")
        if given:
            return given
        self._ours(
            "MATCHBACK_WAREHOUSE_URL", f"duckdb:///{quote(str(self.data / 'warehouse.duckdb'))}"
        )
        return self.addresses["MATCHBACK_WAREHOUSE_URL"]

    def _start(self, part: Part) -> None:
        # Store the PID at once. If this process is killed now, the next start finds the new part.
        self.supervisor.start(part, spawned=self._note)

    def _given(self, name: str) -> str | None:
        """Return the user's address, unless this data directory chose it in the last run."""
        given = os.environ.get(name)
        return None if given == self.state.get("ours", {}).get(name) else given

    def _ours(self, name: str, address: str) -> None:
        self.addresses[name] = address
        self.state.setdefault("ours", {})[name] = address

    def _free_port(self, name: str) -> int:
        ports = self.state.setdefault("ports", {})
        ports[name] = servers.find_free_port(ports.get(name, 0))
        return int(ports[name])

    def _web_port(self, host: str) -> int:
        if self.port is None:
            return servers.find_free_port(Settings.from_env().port, host)
        port = servers.find_free_port(self.port, host)
        if self.port and port != self.port:
            raise PartFailed(f"Port {self.port} is in use. Choose another port with --port.")
        return port

    def _prepare_database(self) -> None:
        os.environ.update(self.addresses)
        mongo = connect_database(Settings.from_env())
        for warning in check_deployment(mongo):
            self.say(f"warning: {warning}")
        self.say("creating indexes")
        for told in upgrade_database(self.say):
            if told.is_finished and told.rows:
                self.say(f"migrated: {told.migration.name}")

    def _is_ready(self) -> bool:
        return is_ready(self.addresses["MATCHBACK_URL"])

    def _note(self) -> None:
        pids = self.supervisor.pids()
        self.state["processes"] = instance.identify_processes(pids)
        instance.save_state(self.data, self.state)
        self._noted = pids


def build_matchback_command() -> list[str]:
    """Return the command line of `matchback`, under a name that identifies its processes."""
    return [sys.executable, str(Path(sys.executable).parent / "matchback")]


def build_worker_command() -> list[str]:
    """Return the command line of a worker."""
    return [*build_matchback_command(), "worker"]


def build_sender_command() -> list[str]:
    """Return the command line of a sender."""
    return [*build_matchback_command(), "sender"]


def build_serve_command() -> list[str]:
    """Return the command line of gunicorn with the project's configuration file."""
    root = Path(__file__).parents[2]
    conf = next(
        place / GUNICORN_CONFIG_FILE
        for place in (root, root / "service")
        if (place / GUNICORN_CONFIG_FILE).exists()
    )
    return [sys.executable, "-m", "gunicorn", "-c", str(conf), "--name", "matchback serve"]


@contextlib.contextmanager
def run_deployment(data: Path, port: int | None, say: Say) -> Iterator[LocalDeployment]:
    """Start all parts, and stop them at the end of the block.

    Raises:
        Stopped: after SIGTERM or Ctrl-C, when all parts have stopped.
        AlreadyUp, MissingServer, PartFailed, DeploymentError: if a part cannot start.
    """
    Settings.from_env()  # report a bad setting before any part starts
    held = instance.lock_data_folder(data)
    up = LocalDeployment(data, port, say)
    with held, _signals(up.supervisor):
        try:
            up.start()
            yield up
        finally:
            _ignore_signals()
            try:
                say("stopping")
            finally:  # even if the terminal is gone
                up.stop()


@contextlib.contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    def stop(*_: Any) -> None:
        supervisor.interrupt(Stopped())

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Ignore signals, because a second Ctrl-C must not interrupt the shutdown halfway."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def watch_forever(up: LocalDeployment) -> None:
    """Watch the parts until a signal arrives."""
    while True:
        up.watch()
        time.sleep(SUPERVISION_INTERVAL_SECONDS)
