"""Starts processes, restarts those that die, and stops all of them, children included."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from service.up import tether

Say = Callable[[str], None]

READY_SECONDS = 60
STOP_SECONDS = 15
SHORT_LIFE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 10
LOG_LINES = 5


class PartFailed(Exception):
    """A part did not become ready. The message says why, and where its log is."""


@dataclass
class Part:
    """A process of the whole.

    ready: asked again and again after a start; None when being started is enough.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    short_lives: int = 0
    start_at: float = 0.0


class Supervisor:
    """Keeps parts running. Used from one thread."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.parts: list[Part] = []

    def start(self, part: Part, spawned: Callable[[], None] = lambda: None) -> None:
        """Start a part, tell that it runs, and wait until it is ready.

        Raises:
            PartFailed: it ended, or took too long.
        """
        self.parts.append(part)
        self._spawn(part)
        spawned()
        deadline = time.monotonic() + READY_SECONDS
        while part.ready is not None and not part.ready():
            assert part.process
            if part.process.poll() is not None:
                raise PartFailed(f"{part.name} ended at its start.{_log_end(part.log)}")
            if time.monotonic() > deadline:
                raise PartFailed(f"{part.name} is not ready after {READY_SECONDS} s.")
            time.sleep(0.02)

    def watch(self) -> None:
        """Restart what died. Called a few times a second."""
        now = time.monotonic()
        for part in self.parts:
            if part.process is None:
                if now >= part.start_at:
                    self._spawn(part)
            elif (code := part.process.poll()) is not None:
                self._bury(part, code, now)

    def _bury(self, part: Part, code: int, now: float) -> None:
        assert part.process
        _kill_group(part.process.pid)  # what a killed parent left behind
        part.process = None
        part.short_lives = part.short_lives + 1 if now - part.started_at < SHORT_LIFE_SECONDS else 0
        pause = min(2.0**part.short_lives - 1, LONGEST_PAUSE_SECONDS)
        part.start_at = now + pause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        when = f"in {pause:.0f} s" if pause else "now"
        self.say(f"{part.name} {how}; it is restarted {when} (log: {part.log})")

    def stop(self) -> None:
        """Stop everything, the last started first, and wait for the end of it."""
        for part in reversed(self.parts):
            if part.process is not None:
                stop_process(part.process.pid, part.process.wait)
                part.process = None

    def pids(self) -> dict[str, int]:
        """Of what is running."""
        return {part.name: part.process.pid for part in self.parts if part.process}

    def _spawn(self, part: Part) -> None:
        part.log.parent.mkdir(parents=True, exist_ok=True)
        tethered = [sys.executable, "-SE", tether.__file__, str(os.getpid()), *part.command]
        with part.log.open("ab") as log:
            part.process = subprocess.Popen(  # noqa: S603
                tethered,
                env={**os.environ, **part.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: Ctrl-C reaches the supervisor alone, which stops the parts
                # in order, and a part can be killed with all its children.
                start_new_session=True,
            )
        part.started_at = time.monotonic()


def stop_process(pid: int, wait: Callable[..., Any]) -> None:
    """SIGTERM, and after a while SIGKILL, to a process and then to what is left of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    try:
        wait(timeout=STOP_SECONDS)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        _kill_group(pid)
        wait(timeout=STOP_SECONDS)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _log_end(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return f" The end of {log}:\n" + "\n".join(lines) if lines else f" Its log is {log}."
