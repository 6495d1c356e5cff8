"""The supervisor, which starts, restarts and stops processes together with their children.

It reports a repeated failure of the system, such as a full disk, only once, and continues.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from service.local import tether
from service.local.log_once import FailureReporter

Say = Callable[[str], None]

READY_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 15
SHORT_LIFE_SECONDS = 5
MAX_RESTART_PAUSE_SECONDS = 10
LOG_TAIL_LINES = 5


class PartFailed(Exception):
    """A part did not become ready. The message names the cause and the log file."""


@dataclass
class Part:
    """A process that the supervisor runs.

    ready: polled after a start; None if there is nothing to wait for.
    keeps_ending: the part ends repeatedly, so its restarts are not reported again.
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
    keeps_ending: bool = False
    starting: FailureReporter | None = None


class Supervisor:
    """A set of parts that are kept running. Not thread-safe."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.parts: list[Part] = []
        self._is_spawning = False
        self._interruption: BaseException | None = None

    def interrupt(self, error: BaseException) -> None:
        """Raise the error at once, or after `Popen` returns. A signal handler calls this method.

        An error inside `Popen` would lose the process, and nothing would stop it.
        """
        if not self._is_spawning:
            raise error
        self._interruption = error

    def start(self, part: Part, spawned: Callable[[], None] = lambda: None) -> None:
        """Start a part, call `spawned`, and wait until the part is ready.

        Raises:
            PartFailed: the part ended or timed out.
            OSError: the operating system could not start it.
        """
        self.parts.append(part)
        self._spawn(part)
        spawned()
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while part.ready is not None and not part.ready():
            assert part.process
            if part.process.poll() is not None:
                raise PartFailed(f"{part.name} ended during startup.{_log_end(part.log)}")
            if time.monotonic() > deadline:
                raise PartFailed(
                    f"{part.name} was not ready after {READY_TIMEOUT_SECONDS} s. "
                    f"Check its log, {part.log}."
                )
            time.sleep(0.02)

    def watch(self) -> None:
        """Restart dead parts. Call this a few times per second."""
        now = time.monotonic()
        for part in self.parts:
            if part.process is None:
                if now >= part.start_at:
                    self._start_again(part, now)
            elif (code := part.process.poll()) is not None:
                self._bury(part, code, now)
            elif part.keeps_ending and now - part.started_at > SHORT_LIFE_SECONDS:
                part.keeps_ending = False
                self.say(f"{part.name} is running again")

    def _start_again(self, part: Part, now: float) -> None:
        if part.starting is None:
            part.starting = FailureReporter(self.say, f"starting {part.name}")
        with part.starting.attempt():
            self._spawn(part)
        if part.process is None:
            part.start_at = now + MAX_RESTART_PAUSE_SECONDS / 2

    def _bury(self, part: Part, code: int, now: float) -> None:
        assert part.process
        _kill_group(part.process.pid)  # A killed parent leaves its children.
        part.process = None
        part.short_lives = part.short_lives + 1 if now - part.started_at < SHORT_LIFE_SECONDS else 0
        pause = min(2.0 ** min(part.short_lives, 10) - 1, MAX_RESTART_PAUSE_SECONDS)
        part.start_at = now + pause
        if not part.keeps_ending:
            part.keeps_ending = pause == MAX_RESTART_PAUSE_SECONDS
            self.say(_ending(part, code, pause))

    def stop(self) -> None:
        """Stop all parts in reverse order, and wait until they have ended.

        On a very busy machine, even a killed process may not end in time. The others still stop.
        """
        for part in reversed(self.parts):
            if part.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    stop_process(part.process.pid, part.process.wait)
                part.process = None

    def pids(self) -> dict[str, int]:
        """Return the PIDs of the running parts by name."""
        return {part.name: part.process.pid for part in self.parts if part.process}

    def _spawn(self, part: Part) -> None:
        self._is_spawning = True
        try:
            part.process = _open(part)
            part.started_at = time.monotonic()
        finally:
            self._is_spawning = False
            if self._interruption is not None:
                raise self._interruption


def _open(part: Part) -> subprocess.Popen[bytes]:
    tethered = [sys.executable, "-SE", tether.__file__, str(os.getpid()), *part.command]
    with _log_of(part) as log:
        return subprocess.Popen(  # noqa: S603
            tethered,
            env={**os.environ, **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Each part has its own process group. Ctrl-C then reaches only the supervisor, which
            # stops the parts in order, and a part can be killed with its children.
            start_new_session=True,
        )


def _log_of(part: Part) -> IO[bytes]:
    """Open a part's log. Without disk space, a part runs without a log."""
    try:
        part.log.parent.mkdir(parents=True, exist_ok=True)
        return part.log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _ending(part: Part, code: int, pause: float) -> str:
    """Return the line that reports how a part ended."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    when = f"in {pause:.0f} s" if pause else "now"
    if part.keeps_ending:
        when = f"every {pause:.0f} s until it keeps running"
    return f"{part.name} {how}. Restarting {when} (log: {part.log})"


def stop_process(pid: int, wait: Callable[..., Any]) -> None:
    """Send SIGTERM to a process, then SIGKILL to what is left of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    try:
        wait(timeout=STOP_TIMEOUT_SECONDS)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        _kill_group(pid)
        wait(timeout=STOP_TIMEOUT_SECONDS)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _log_end(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    except OSError:
        lines = []
    return f" Last lines of {log}:\n" + "\n".join(lines) if lines else f" Check its log, {log}."
