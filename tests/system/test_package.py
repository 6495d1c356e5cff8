"""The built packages are complete: without a checkout, they start everything."""

import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from tests.system.deploy.packages import build, constraints, elsewhere, run
from tools.testbed.readme import ROOT

PACKAGES = ("config", "documents", "jobs", "matchback", "service")
# Only a source tree has these.
READ = {"ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md", "deploy", "docs"}
BUILT_WITH = {".gitignore", "PKG-INFO", "gunicorn.conf.py", "pyproject.toml"}


class Built(NamedTuple):
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(*build(ROOT, tmp_path_factory.mktemp("dist"), "sdist", "wheel"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_the_tree() -> set[str]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*"))
    return {
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_has_every_file_of_the_packages_and_no_other(built: Built) -> None:
    inside = contents(built.wheel)
    info = next(name for name in inside if name.endswith(".dist-info/METADATA")).split("/")[0]
    packaged = {name for name in inside if not name.startswith(f"{info}/")}
    assert packaged == in_the_tree() | {"service/gunicorn.conf.py"}
    assert "service/dashboard/templates/layout.html" in packaged
    assert "service/dashboard/translations/de.po" in packaged
    assert "service/dashboard/assets/live.js" in packaged
    assert inside[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"matchback = service.cli:main" in inside[f"{info}/entry_points.txt"]


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    assert {item.name for item in unpacked.iterdir()} == {*PACKAGES, *READ, *BUILT_WITH}
    [wheel] = build(unpacked, tmp_path / "dist", "wheel")
    assert contents(wheel) == contents(built.wheel)


def test_an_installed_wheel_starts_everything(built: Built, tmp_path: Path) -> None:
    programs, folder = tmp_path / "venv" / "bin", tmp_path / "elsewhere"
    folder.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    pinned = ("--constraint", constraints(tmp_path / "constraints.txt"))
    quick = ("--quiet", "--no-compile", "--only-binary", ":all:")
    run(*pip, "install", *quick, *pinned, f"{built.wheel}[embedded]", cwd=folder)
    command: list[str | Path] = [
        programs / "matchback",
        "up",
        "--no-demo",
        "--port",
        "0",
        "--data",
        tmp_path / "var",
    ]
    with subprocess.Popen(
        command, cwd=folder, env=elsewhere(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            look_around(ready(process))
            assert_of_no_checkout(process)
        finally:
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert told == "matchback  stopping\n"
    assert not list(folder.iterdir())


def ready(process: "subprocess.Popen[str]") -> str:
    """Return the address, as soon as the output has it."""
    assert process.stdout
    told = ""
    for line in process.stdout:
        told += line
        if found := re.search(r"ready: (\S+)", line):
            return found[1]
    raise AssertionError(told)


def look_around(url: str) -> None:
    """Load pages and files of every packaged kind."""
    with httpx.Client(base_url=url, timeout=20, follow_redirects=True) as browser:
        assert browser.get("/readyz").json()["status"] == "ready"
        assert browser.get("/docs").is_success
        page = browser.get("/dashboard")
        assert "Sign in" in page.text
        files = set(re.findall(r'"(/dashboard/assets/[^"]+)"', page.text))
        assert files
        for file in files:
            asset = ROOT / "service" / "dashboard" / "assets" / file.rsplit("/", 1)[1]
            assert browser.get(file).content == asset.read_bytes()


def assert_of_no_checkout(process: "subprocess.Popen[str]") -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        open_files = [file.path for file in child.open_files()]
        assert str(ROOT) not in " ".join([*child.cmdline(), child.cwd(), *open_files])
