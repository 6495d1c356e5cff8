"""The lock of a data directory for one `matchback up`, and the cleanup after an earlier one."""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import IO, TypedDict

import psutil
from cryptography.fernet import Fernet

from service.local.supervisor import Say, stop_process

STATE_FILE = "state.json"
MASTER_KEY_FILE = "master.key"


class RunState(TypedDict, total=False):
    """The state that a run stores for the next one.

    ours: addresses that this data directory chose, by name of the setting.
    processes: PID and start time by name of the part.
    """

    ours: dict[str, str]
    ports: dict[str, int]
    processes: dict[str, list[float]]


class AlreadyUp(Exception):
    """Another `matchback up` uses this data directory."""


def lock_data_folder(data: Path) -> IO[str]:
    """Lock the data directory until the returned file is closed or this process ends.

    Raises:
        AlreadyUp: another process holds the lock.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data / "up.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyUp(
            f"Matchback is already running with the data in {data}. Stop it first, or choose "
            "another directory with --data."
        ) from None
    return file


def load_state(data: Path) -> RunState:
    """Return the state of the last run. Return an empty state if the file is missing or damaged."""
    try:
        state: RunState = json.loads((data / STATE_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def save_state(data: Path, state: RunState) -> None:
    """Store the state for the next run.

    Raises:
        OSError: the disk is full, for example. The previous state is kept.
    """
    draft = data / f"{STATE_FILE}.new"
    draft.write_text(json.dumps(state, indent=1))
    draft.replace(data / STATE_FILE)


def identify_processes(pids: dict[str, int]) -> dict[str, list[float]]:
    """Return each PID with its start time, because the system can reuse a PID."""
    found = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            found[name] = [pid, psutil.Process(pid).create_time()]
    return found


def end_leftover_processes(state: RunState, say: Say) -> None:
    """Stop processes that a killed supervisor left running."""
    for name, (pid, created) in state.get("processes", {}).items():
        try:
            process = psutil.Process(int(pid))
            if abs(process.create_time() - created) > 1 or int(pid) == os.getpid():
                continue
        except psutil.NoSuchProcess:
            continue
        say(f"stopping {name} of an earlier run (process {int(pid)})")
        stop_process(process.pid, process.wait)


def ensure_master_keys(data: Path) -> str:
    """Return the keys that encrypt secrets, from the environment or from the data directory."""
    if given := os.environ.get("MATCHBACK_MASTER_KEYS"):
        return given
    file = data / MASTER_KEY_FILE
    if not file.exists():
        draft = data / f"{MASTER_KEY_FILE}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(Fernet.generate_key())
        draft.replace(file)
    return file.read_text()
