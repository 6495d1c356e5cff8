"""The lock of a data folder, for one `matchback up`, and the cleanup of an earlier one."""

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
    """What a run notes for the next one.

    ours: addresses that this data folder chose, by the name of the setting.
    processes: PID and start time by the name of the part.
    """

    ours: dict[str, str]
    ports: dict[str, int]
    processes: dict[str, list[float]]


class AlreadyUp(Exception):
    """Another `matchback up` has this data folder."""


def lock_data_folder(data: Path) -> IO[str]:
    """Hold the data folder until the file returned is closed, or this process ends.

    Raises:
        AlreadyUp: somebody else does.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data / "up.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyUp(
            f"Matchback is up already with the data in {data}. Stop that one first, or give "
            "another folder with --data."
        ) from None
    return file


def load_state(data: Path) -> RunState:
    """Return what the last run noted: its ports, its processes. Ignore a file that is cut short."""
    try:
        state: RunState = json.loads((data / STATE_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def save_state(data: Path, state: RunState) -> None:
    """Keep the state for the next run.

    Raises:
        OSError: the disk is full, for example. The state of before is kept.
    """
    draft = data / f"{STATE_FILE}.new"
    draft.write_text(json.dumps(state, indent=1))
    draft.replace(data / STATE_FILE)


def identify_processes(pids: dict[str, int]) -> dict[str, list[float]]:
    """Return processes with their start times, because a later one may have the same PID."""
    found = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            found[name] = [pid, psutil.Process(pid).create_time()]
    return found


def end_leftover_processes(state: RunState, say: Say) -> None:
    """End what a supervisor that was killed left running."""
    for name, (pid, created) in state.get("processes", {}).items():
        try:
            process = psutil.Process(int(pid))
            if abs(process.create_time() - created) > 1 or int(pid) == os.getpid():
                continue
        except psutil.NoSuchProcess:
            continue
        say(f"ending {name} of an earlier run (process {int(pid)})")
        stop_process(process.pid, process.wait)


def ensure_master_keys(data: Path) -> str:
    """What secrets are sealed with: from the environment, or the data folder's own, made once."""
    if given := os.environ.get("MATCHBACK_MASTER_KEYS"):
        return given
    file = data / MASTER_KEY_FILE
    if not file.exists():
        draft = data / f"{MASTER_KEY_FILE}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(Fernet.generate_key())
        draft.replace(file)
    return file.read_text()
