"""`matchback up`: everything starts, dead parts restart, and nothing is left behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from service.local import addresses, instance, readiness, servers
from service.local.command import build_matchback_command
from tools.testbed.stack import Servers, wait_until


def matchback(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run(*arguments: str, **options: Any) -> tuple[int, str]:
    with matchback(*arguments, **options) as process:
        output, _ = process.communicate(timeout=60)
    return process.returncode, output


@contextmanager
def up(data: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    port = str(servers.find_free_port())
    process = matchback("up", "--data", str(data), "--port", port, *more)
    try:
        wait_until(lambda: is_ready(data) or process.poll() is not None, "readiness")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
        print(output)  # noqa: T201


def is_ready(data: Path) -> bool:
    url = addresses.read_addresses(data).get("MATCHBACK_URL")
    return url is not None and readiness.is_ready(url)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def part(data: Path, name: str) -> int:
    return int(instance.load_state(data)["processes"][name][0])


def test_up_starts_everything_stops_on_a_signal_and_starts_again_on_other_ports(
    memory_path: Path,
) -> None:
    with up(memory_path, "--no-demo") as process:
        check_parts_and_addresses(process, memory_path)
        status, output = run("org", "create", "U", "--json", "--data", str(memory_path))
        assert status == 0, output
        stop_by_signal(process, signal.SIGTERM)
    assert not addresses.env_file_path(memory_path).exists()
    state = instance.load_state(memory_path)
    state["ports"] = {}
    instance.save_state(memory_path, state)
    with up(memory_path, "--no-demo") as process:
        assert process.poll() is None
        assert run("recount", "--data", str(memory_path)) == (0, "Incorrect counters: 0\n")
        stop_by_signal(process, signal.SIGINT)
    assert not addresses.env_file_path(memory_path).exists()


def check_parts_and_addresses(process: subprocess.Popen[str], data: Path) -> None:
    titles = {" ".join(child.cmdline()) for child in family(process)}
    assert any("gunicorn: master [matchback serve]" in title for title in titles)
    assert any("matchback worker" in title for title in titles)
    shell = f". {data}/up.env && echo $MATCHBACK_URL $MATCHBACK_MONGODB_URI"
    told = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert told.stdout.split() == list(addresses.read_addresses(data).values())[:2]


def stop_by_signal(process: subprocess.Popen[str], how: signal.Signals) -> None:
    """Send the signal, and check that no process is left."""
    children = family(process)
    assert len(children) >= 6
    process.send_signal(how)
    assert process.wait(60) == 0
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running()]


def is_replaced(data: Path, name: str, before: int) -> bool:
    """Check one reading of the state, because the part is missing from it during its restart."""
    started = instance.load_state(data)["processes"].get(name)
    return started is not None and int(started[0]) != before


def test_killed_parts_are_restarted_and_a_new_start_clears_up_after_a_killed_supervisor(
    memory_path: Path,
) -> None:
    with up(memory_path, "--no-demo") as process:
        for name in ("worker", "web", "Redis", "MongoDB"):
            before = part(memory_path, name)
            os.kill(before, signal.SIGKILL)
            wait_until(partial(is_replaced, memory_path, name, before), f"a new {name}")
        wait_until(lambda: is_ready(memory_path), "readiness again")
        status, output = run("org", "create", "U", "--json", "--data", str(memory_path))
        assert status == 0, output
        left = family(process)
        process.kill()
        told, _ = process.communicate(timeout=60)
    for name in ("worker", "web", "Redis", "MongoDB"):
        assert f"{name} was killed by SIGKILL. Restarting" in told
    with up(memory_path, "--no-demo") as process:
        # The remaining process answers as ready until the new start ends it.
        wait_until(lambda: not any(child.is_running() for child in left), "their end")
        wait_until(lambda: is_ready(memory_path), "readiness")
        assert process.poll() is None
        secret = output.split('"api_key": "')[1].split('"')[0]
        headers = {"Authorization": f"Bearer {secret}"}
        url = addresses.read_addresses(memory_path)["MATCHBACK_URL"]
        # the data remains, though MongoDB may have another port now
        assert httpx.get(f"{url}/v1/users", headers=headers).status_code == 200


def test_configured_servers_are_used_at_every_start(
    memory_path: Path, real_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses from Matchback's own up.env do not count as the person's servers."""
    uri = servers.build_mongodb_uri(real_servers.mongodb_port, "own")
    monkeypatch.setenv("MATCHBACK_MONGODB_URI", uri)
    for _ in range(2):
        with up(memory_path, "--no-demo"):
            assert addresses.read_addresses(memory_path)["MATCHBACK_MONGODB_URI"] == uri
            assert "MongoDB" not in instance.load_state(memory_path)["processes"]
            ours = addresses.read_addresses(memory_path)["MATCHBACK_REDIS_URL"]
        monkeypatch.setenv("MATCHBACK_REDIS_URL", ours)


def test_a_second_up_on_the_same_data_is_rejected_with_a_sentence(memory_path: Path) -> None:
    held = instance.lock_data_folder(memory_path)
    status, output = run("up", "--data", str(memory_path))
    held.close()
    assert status == 1
    assert "Matchback is already running with the data in" in output


def test_without_mongod_up_names_three_solutions(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(servers, "_packaged", lambda package, path: None)
    with pytest.raises(servers.MissingServer) as error:
        servers.build_mongodb_part(memory_path, 1)
    for way in ("Install MongoDB", "container", "MATCHBACK_MONGODB_URI"):
        assert way in str(error.value)


def test_a_taken_port_is_reported_in_a_sentence(memory_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((servers.LOOPBACK_ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, output = run("up", "--data", str(memory_path), "--port", str(port), "--no-demo")
    assert status == 1
    assert f"Port {port} is in use" in output


def test_a_misspelled_setting_is_reported_in_a_sentence(memory_path: Path) -> None:
    environment = {**os.environ, "MATCHBACK_PROT": "1"}
    for command in (["up", "--data", str(memory_path)], ["worker"], ["serve"], ["recount"]):
        status, output = run(*command, env=environment)
        assert status == 1, output
        assert "Did you mean MATCHBACK_PORT?" in output
        assert "Traceback" not in output


def test_commands_without_a_database_give_advice(memory_path: Path) -> None:
    environment = {
        **os.environ,
        "MATCHBACK_MONGODB_URI": f"mongodb://127.0.0.1:{servers.find_free_port()}/?replicaSet=rs0",
        "MATCHBACK_DATABASE_TIMEOUT_SECONDS": "0.5",
    }
    status, output = run("org", "create", "U", env=environment, cwd=memory_path)
    assert status == 1
    assert "matchback up" in output
    assert "Traceback" not in output


def test_up_stops_everything_although_its_output_is_not_read(memory_path: Path) -> None:
    process = matchback("up", "--data", str(memory_path), "--port", "0", "--no-demo")
    assert process.stdout
    for line in process.stdout:
        if "ready:" in line:
            break
    children = family(process)
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    process.wait(40)
    assert not [child for child in children if child.is_running()]
    assert not addresses.env_file_path(memory_path).exists()


def warehouse(command: str, data: Path) -> str:
    asked = [*build_matchback_command(), "warehouse", command, "--data", str(data)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def read_lines(process: subprocess.Popen[str], end: str) -> list[str]:
    """Return the lines of the output up to the one with this text."""
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if end in line:
            break
    return lines


def count_records(data: Path) -> tuple[int, int]:
    """Return the numbers of the demo's fundraisers and emails."""
    url = addresses.read_addresses(data)["MATCHBACK_URL"]
    key = json.loads((data / "demo.json").read_text())["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    listed = httpx.get(f"{url}/v1/fundraisers", headers=headers).json()["data"]
    emails, cursor = 0, ""
    while True:
        page = httpx.get(f"{url}/v1/emails?limit=200{cursor}", headers=headers).json()
        emails += len(page["data"])
        if page["next_cursor"] is None:
            return len(listed), emails
        cursor = f"&cursor={page['next_cursor']}"


def test_the_demo_stops_at_once_then_resumes_plays_its_day_and_suggests_steps(
    memory_path: Path,
) -> None:
    arguments = ("up", "--data", str(memory_path), "--port", "0")
    process = matchback(*arguments)
    read_lines(process, "100 of 800")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)
    assert process.returncode == 0
    process = matchback(*arguments)
    lines = read_lines(process, "simulating its giving day")
    assert count_records(memory_path) == (2, 800)
    lines += read_lines(process, "Press Ctrl-C to stop")
    told = "".join(lines)
    tried = re.search(r"\S+matchback warehouse sql .*?from .*?\"", told, re.S)
    assert tried
    wait_until(
        lambda: warehouse("status", memory_path) == "up to date\n",
        "the warehouse knows the day",
    )
    asked = subprocess.run(tried[0], shell=True, capture_output=True, text=True, check=True)
    assert "none" in asked.stdout
    assert warehouse("verify", memory_path) == "All sums match.\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert "800 of 800 emails created" in told
    assert "curl -H" in told
    assert re.search(r"“Email” caused between \$[\d,]+ and \$", told)
    final = next(line for line in reversed(lines) if "sent 600" in line)
    assert "counters are up to date" in final
    assert ", none " in final
