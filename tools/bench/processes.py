"""Processes besides the service's: bare handlers on gunicorn, and the naive design's workers."""

import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from config.settings import get_settings
from service.local.command import build_worker_command
from service.local.servers import LOOPBACK_ADDRESS, find_free_port
from service.local.supervisor import Part, Supervisor
from tools.testbed.stack import Stack


@contextmanager
def run_parts(parts: Iterable[Part]) -> Iterator[Supervisor]:
    """Start the parts in order, and stop them at the end of the block."""
    supervisor = Supervisor(say=lambda text: None)
    try:
        for part in parts:
            supervisor.start(part)
        yield supervisor
    finally:
        supervisor.stop()


def build_parts(
    name: str, commands: Iterable[list[str]], folder: Path, environment: dict[str, str]
) -> list[Part]:
    """Return numbered parts of one kind, each with a log of its own."""
    return [
        Part(f"{name}{number}", command, folder / f"{name}{number}.log", environment)
        for number, command in enumerate(commands)
    ]


def build_wsgi_command(application: str, port: int) -> list[str]:
    """Return the command of gunicorn's own threads, with Matchback's processes and threads."""
    return [
        *(sys.executable, "-m", "gunicorn", application, "--bind", f"{LOOPBACK_ADDRESS}:{port}"),
        *("--workers", str(get_settings().web_workers)),
        *("--threads", str(get_settings().web_threads)),
        *("--worker-class", "gthread", "--keep-alive", "75", "--reuse-port"),
        *("--no-control-socket", "--log-level", "warning"),
    ]


@contextmanager
def run_wsgi(application: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run an application on gunicorn, with Matchback's processes and threads. Yield its URL."""
    port = find_free_port()
    command = build_wsgi_command(application, port)
    log = folder / f"{port}.log"
    with run_parts(
        [Part(application, command, log, environment, ready=lambda: is_listening(port))]
    ):
        yield f"http://{LOOPBACK_ADDRESS}:{port}"


def is_listening(port: int) -> bool:
    """Return whether a process on this machine accepts connections on the port."""
    try:
        socket.create_connection((LOOPBACK_ADDRESS, port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def run_workers(stack: Stack, many: int) -> Iterator[Supervisor]:
    """Run this many of Matchback's workers."""
    commands = [build_worker_command() for _ in range(many)]
    with run_parts(build_parts("worker", commands, stack.folder, stack.environment)) as supervisor:
        yield supervisor


def measure_memory(pid: int) -> float:
    """Return the resident memory of the largest process among this one and its children, in MB."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return max(process.memory_info().rss for process in family) / 1e6
