"""deploy/systemd: units that systemd accepts, that are confined, and that name existing files."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from config.settings import Settings, get_variable_name
from jobs.process import WORKER_STOP_SECONDS
from jobs.sender.sender import STOP_SECONDS
from service.cli import main
from tools.testbed.readme import ROOT, find_group

UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("matchback-web", "matchback-worker@", "matchback-warehouse", "matchback-sender")
# Tenths of systemd's exposure scale, on which 100 is an unconfined service.
EXPOSURE = 20
THREADS_IN_TURN = 6  # a stopping worker waits for these, including the consumer


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Write the units as on a server, with another path of the program."""
    shutil.copytree(UNITS, tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        here = unit.read_text().replace("/opt/matchback/bin", str(Path(sys.executable).parent))
        unit.write_text(here)
    return tmp_path / "units"


def analyze(units: Path, *arguments: str) -> tuple[int, str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing. Run: python -m tools.programs"
    done = subprocess.run(
        [program, *arguments],
        cwd=units,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def verify(units: Path) -> tuple[int, str]:
    names = [f"./{name.replace('@', '@1')}.service" for name in SERVICES]
    return analyze(units, "verify", "--man=no", *names, "./matchback.target")


def told(name: str) -> configparser.SectionProxy:
    """Return the unit's own section, and the settings common to all."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read([UNITS / "matchback-.service.d" / "common.conf", UNITS / f"{name}.service"])
    return parser["Service"]


def test_systemd_accepts_the_units(units: Path) -> None:
    assert verify(units) == (0, "")


def test_systemd_detects_a_misspelled_line_and_a_missing_program(units: Path) -> None:
    with (units / "matchback-.service.d" / "common.conf").open("a") as common:
        common.write("ProtectSytem=strict\n")
    assert "ProtectSytem" in verify(units)[1]
    shutil.copy(UNITS / "matchback-web.service", units)
    status, output = verify(units)
    assert "/opt/matchback/bin/matchback is not executable" in output
    assert status == 1


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(units: Path, name: str) -> None:
    unit = f"./{name.replace('@', '@1')}.service"
    threshold = ("--offline=true", f"--threshold={EXPOSURE}", "--no-pager")
    status, output = analyze(units, "security", *threshold, unit)
    assert status == 0, output
    (units / "matchback-.service.d" / "common.conf").unlink()
    assert analyze(units, "security", *threshold, unit)[0] != 0


@pytest.mark.parametrize("name", SERVICES)
def test_each_unit_runs_an_existing_command(name: str) -> None:
    program, *words = told(name)["ExecStart"].split()
    assert program == "/opt/matchback/bin/matchback"
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert not isinstance(command, click.Group)


def test_no_service_is_killed_before_its_own_timeout() -> None:
    conf = (ROOT / "gunicorn.conf.py").read_text()
    graceful = int(find_group(r"^graceful_timeout = (\d+)$", conf))
    assert int(told("matchback-web")["TimeoutStopSec"]) > graceful + 5
    assert int(told("matchback-worker@")["TimeoutStopSec"]) > THREADS_IN_TURN * WORKER_STOP_SECONDS
    assert int(told("matchback-warehouse")["TimeoutStopSec"]) > 2 * WORKER_STOP_SECONDS
    assert int(told("matchback-sender")["TimeoutStopSec"]) > 2 * STOP_SECONDS


def test_the_example_environment_is_valid_for_systemd_and_a_shell() -> None:
    lines = (UNITS / "environment.example").read_text().splitlines()
    pairs = [re.fullmatch(r'#?(MATCHBACK_[A-Z_]+)="(.*)"', line) for line in lines]
    given = {pair[1]: pair[2] for pair in pairs if pair}
    assert Settings.from_env(given).url.startswith("https://")
    assert set(given) <= set(map(get_variable_name, Settings.model_fields))
    shell = f"set -a; . {UNITS / 'environment.example'}; env"
    read = subprocess.run(
        ["sh", "-c", shell],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    live = [line for line in lines if line.startswith("MATCHBACK_")]
    assert set(live) == {
        f'{name}="{value}"'
        for name, value in (line.split("=", 1) for line in read)
        if name.startswith("MATCHBACK_")
    }
