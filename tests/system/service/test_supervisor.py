"""The supervisor survives errors of the system, reports each once, and resumes by itself."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.local import instance, supervisor
from service.local.command import LocalDeployment, Stopped
from service.local.supervisor import Part, Supervisor
from tools.testbed.full_disk import mount_small_disk, raise_disk_full
from tools.testbed.stack import wait_until

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.EAGAIN)
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart parts at once."""
    monkeypatch.setattr(supervisor, "MAX_RESTART_PAUSE_SECONDS", 0.2)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def up(tmp_path: Path, said: list[str]) -> Any:
    running = LocalDeployment(tmp_path, 0, said.append)
    yield running
    running.supervisor.stop()


def refusing(code: int) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return refuse


def watch(up: LocalDeployment, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        up.watch()
        time.sleep(0.02)


def kill(up: LocalDeployment, name: str) -> None:
    [part] = [part for part in up.supervisor.parts if part.name == name]
    assert part.process
    part.process.kill()
    part.process.wait()


def test_a_signal_during_the_start_of_a_process_does_not_lose_the_process(
    up: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def signalled(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        begun.append(process(*args, **kwargs))
        up.supervisor.interrupt(Stopped())
        return begun[0]

    process = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", signalled)
    with pytest.raises(Stopped):
        up._start(Part("sleeper", SLEEP, tmp_path / "log" / "sleeper.log"))
    assert up.supervisor.pids() == {"sleeper": begun[0].pid}
    up.supervisor.stop()
    assert begun[0].poll() is not None


@pytest.mark.parametrize("code", REFUSALS, ids=[errno.errorcode[code] for code in REFUSALS])
def test_a_state_that_cannot_be_written_is_reported_once_and_written_later(
    up: LocalDeployment, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    up._start(Part("sleeper", SLEEP, tmp_path / "log" / "sleeper.log"))
    with monkeypatch.context() as refused:
        refused.setattr(Path, "write_text", refusing(code))
        for _ in range(3):
            kill(up, "sleeper")
            watch(up, 0.5)
        failures = [line for line in said if "fails" in line]
        assert failures == [
            f"writing to {tmp_path} fails: {os.strerror(code)}. Matchback will keep retrying."
        ]
    up.watch()
    assert said[-1] == f"writing to {tmp_path} succeeds again."
    assert (
        instance.load_state(tmp_path)["processes"]["sleeper"][0] == up.supervisor.pids()["sleeper"]
    )


@pytest.mark.parametrize("code", REFUSALS, ids=[errno.errorcode[code] for code in REFUSALS])
def test_a_part_that_cannot_be_started_is_started_later(
    up: LocalDeployment, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    up._start(Part("sleeper", SLEEP, tmp_path / "sleeper.log"))
    with monkeypatch.context() as refused:
        refused.setattr(subprocess, "Popen", refusing(code))
        kill(up, "sleeper")
        watch(up, 1)
        assert not up.supervisor.pids()
        assert len([line for line in said if "starting sleeper fails" in line]) == 1

    def is_back() -> bool:
        up.watch()
        return bool(up.supervisor.pids())

    wait_until(is_back, "the part", seconds=10)
    assert "starting sleeper succeeds again." in said


def test_a_part_runs_without_a_log_if_its_file_cannot_be_created(
    up: LocalDeployment, tmp_path: Path
) -> None:
    with mount_small_disk(tmp_path / "disk", 1) as disk:
        log = tmp_path / "disk" / "sleeper.log"
        if disk is None:
            (tmp_path / "disk").rmdir()
            (tmp_path / "disk").touch()  # A file has the path of the log's folder.
        else:
            disk.fill()
        up._start(Part("sleeper", SLEEP, log))
        assert up.supervisor.pids()
        up.supervisor.stop()


def test_a_crashing_part_is_reported_a_few_times(said: list[str], tmp_path: Path) -> None:
    running = Supervisor(said.append)
    flag = tmp_path / "works"
    script = f"import os, time; os.path.exists({str(flag)!r}) and time.sleep(600)"
    running.start(Part("part", (sys.executable, "-c", script), tmp_path / "part.log"))
    try:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            running.watch()
            time.sleep(0.02)
        assert 1 <= len(said) <= 3
        assert "until it keeps running" in said[-1]
        flag.touch()

        def runs_again() -> bool:
            running.watch()
            return "part is running again" in said

        wait_until(runs_again, "its run", seconds=20)
    finally:
        running.stop()


def test_everything_stops_although_nothing_can_be_written(
    up: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up._start(Part("sleeper", SLEEP, tmp_path / "sleeper.log"))
    process = up.supervisor.parts[0].process
    assert process
    for name in ("unlink", "write_text"):
        monkeypatch.setattr(Path, name, raise_disk_full)
    up.stop()
    assert process.poll() is not None


def test_a_part_that_does_not_end_in_time_does_not_keep_the_others_running(
    up: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_SECONDS", 0.1)
    for name in ("first", "second"):
        up._start(Part(name, SLEEP, tmp_path / f"{name}.log"))
    first, second = (part.process for part in up.supervisor.parts)
    assert first
    assert second

    def never_end(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired(SLEEP, 0.1)

    monkeypatch.setattr(second, "wait", never_end)
    up.stop()
    assert first.poll() is not None
    monkeypatch.undo()
    second.wait()
