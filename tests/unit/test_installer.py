"""The installer of .venv: the commands that it runs, its repairs, and its settings."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools.testbed.readme import ROOT

FOLDER = ROOT / "requirements"
NONE: dict[str, str] = {}


@pytest.fixture(scope="module")
def settings() -> ModuleType:
    return load("pip_and_uv")


def load(name: str) -> ModuleType:
    """Import a module as the script does, from its own folder only."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


class Commands:
    """A recorder of the installer's commands, which does not run them."""

    def __init__(self, uv_fails: bool = False) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.uv_fails = uv_fails

    def uv(self, folder: Path) -> Any:
        if self.uv_fails:
            raise subprocess.CalledProcessError(1, "uv has no wheel for this machine")
        return lambda *words: self.ran.append(("uv", *words))

    def run(self, command: list[str], **_: Any) -> None:
        self.ran.append(tuple(command))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the installer for another .venv."""
    module = load("install")
    monkeypatch.setattr(module, "VENV", tmp_path)
    monkeypatch.setattr(module, "INSTALLED", tmp_path / ".installed")
    monkeypatch.setattr(module, "UNFINISHED", tmp_path / ".unfinished")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    return module


def commands(install: ModuleType, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Commands:
    made = Commands(**options)
    monkeypatch.setattr(install, "Uv", made.uv)
    monkeypatch.setattr(install.subprocess, "run", made.run)
    monkeypatch.setattr(install, "pip", lambda: ["pip"])
    return made


@pytest.mark.parametrize("purpose", ["run", "test", "docs", "bench"])
@pytest.mark.parametrize("uv_fails", [False, True])
def test_only_hashed_packages_and_the_project_are_installed(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, purpose: str, uv_fails: bool
) -> None:
    made = commands(install, monkeypatch, uv_fails=uv_fails)
    install.install(purpose)
    lock, *project = [words for words in made.ran if "install" in words]
    assert "--require-hashes" in lock
    assert lock[-1] == str(FOLDER / f"{purpose}.txt")
    assert len(project) == (purpose != "docs")
    for words in project:
        assert {"--no-deps", "--no-build-isolation", "--editable"} < set(words)
        assert words[-1] == str(ROOT)
    assert all(words[0] == ("pip" if uv_fails else "uv") for words in (lock, *project))


def test_uv_itself_is_installed_with_hashes(
    settings: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(settings, "run", run)
    settings.Uv(tmp_path)
    [words] = [command for command in ran if "install" in command]
    assert "--require-hashes" in words
    assert words[-1].endswith("requirements/uv.txt")


def finish(install: ModuleType, *purposes: str) -> None:
    made = {"folder": str(install.VENV), **{each: install.digest(each) for each in purposes}}
    install.INSTALLED.write_text(json.dumps(made))


def test_an_installation_for_tests_is_ready_to_run(install: ModuleType) -> None:
    finish(install, "test")
    assert all(install.is_ready(purpose) for purpose in ("run", "docs", "bench", "test"))


def test_an_installation_to_run_is_not_ready_for_tests(install: ModuleType) -> None:
    finish(install, "run")
    assert install.is_ready("run")
    assert not install.is_ready("test")
    assert not install.is_ready("docs")


@pytest.mark.parametrize(
    "damage",
    [
        lambda install: install.UNFINISHED.touch(),
        lambda install: install.INSTALLED.write_text("{"),
        lambda install: install.INSTALLED.unlink(),
        lambda install: install.INSTALLED.write_text('{"run": "another lock"}'),
        lambda install: setattr(install, "VENV", install.VENV.parent / "moved"),
        lambda install: setattr(install, "PYTHON", install.VENV / "removed" / "python"),
    ],
    ids=["interrupted", "half written", "nothing known", "another lock", "moved", "no Python"],
)
def test_an_incomplete_installation_is_not_ready(install: ModuleType, damage: Any) -> None:
    finish(install, "run")
    assert install.is_ready("run")
    damage(install)
    assert not install.is_ready("run")


def test_a_failed_installation_is_repaired_by_the_next(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(install, "docs")
    monkeypatch.setattr(install, "make_venv", lambda: None)

    def fails(purpose: str) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(install, "install", fails)
    with pytest.raises(subprocess.CalledProcessError):
        install.main("run")
    assert not install.is_ready("run")
    assert not install.is_ready("docs")
    install.UNFINISHED.unlink()  # as make_venv does
    monkeypatch.setattr(install, "install", lambda purpose: None)
    install.main("run")
    assert install.is_ready("run")


def test_a_changed_lock_leaves_other_purposes_ready(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(install, "docs")
    monkeypatch.setattr(install, "install", lambda purpose: None)
    install.main("run")
    assert install.is_ready("docs")
    assert install.is_ready("run")


LISTED = """:env:.find-links='/wheels /more'
global.index-url='https://one.example/simple'
global.timeout='9'
install.index-url='https://two.example/simple'
global.extra-index-url='file:///a file:///b'
download.index-url='https://no.example/simple'
"""


def test_pips_settings_are_read_in_pips_order(settings: ModuleType) -> None:
    assert settings.pip_settings(LISTED) == {
        "find-links": "/wheels /more",
        "index-url": "https://two.example/simple",
        "timeout": "9",
        "extra-index-url": "file:///a file:///b",
    }
    assert settings.pip_settings("") == {}
    above = ":env:.index-url='https://three.example'\n" + LISTED
    assert settings.pip_settings(above)["index-url"] == "https://three.example"


def test_uv_follows_pips_settings_without_its_own(settings: ModuleType) -> None:
    pip = settings.pip_settings(LISTED)
    assert settings.uv_settings(pip, NONE, has_config=False) == {
        "UV_DEFAULT_INDEX": "https://two.example/simple",
        "UV_INDEX": "file:///a file:///b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_HTTP_TIMEOUT": "9",
    }
    assert settings.uv_settings({}, NONE, has_config=False) == {}


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS"])
def test_uvs_own_index_takes_precedence_over_pips(settings: ModuleType, name: str) -> None:
    pip = settings.pip_settings(LISTED)
    of_uv = settings.uv_settings(pip, {name: "https://four.example"}, has_config=False)
    assert of_uv == {"UV_HTTP_TIMEOUT": "9"}
    assert settings.uv_settings(pip, NONE, has_config=True) == of_uv


def test_a_persons_variable_is_not_replaced(settings: ModuleType) -> None:
    pip = {"proxy": "http://pip:1", "cert": "/pip.pem", "no-cache-dir": "true", "timeout": "3"}
    assert settings.uv_settings(pip, NONE, has_config=False) == {
        "ALL_PROXY": "http://pip:1",
        "HTTPS_PROXY": "http://pip:1",
        "HTTP_PROXY": "http://pip:1",
        "SSL_CERT_FILE": "/pip.pem",
        "UV_NO_CACHE": "1",
        "UV_HTTP_TIMEOUT": "3",
    }
    own = dict.fromkeys(("all_proxy", "https_proxy", "HTTP_PROXY", "SSL_CERT_FILE"), "mine")
    own |= {"UV_NO_CACHE": "0", "UV_HTTP_TIMEOUT": "60"}
    assert settings.uv_settings(pip, own, has_config=False) == {}


def test_a_uv_configuration_file_is_detected(settings: ModuleType, tmp_path: Path) -> None:
    variables = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    (tmp_path / "uv").mkdir()
    assert not settings.has_uv_config(variables)
    (tmp_path / "uv" / "uv.toml").write_text("native-tls = true\n")
    assert not settings.has_uv_config(variables)
    (tmp_path / "uv" / "uv.toml").write_text('[[index]]\nurl = "https://five.example/simple"\n')
    assert settings.has_uv_config(variables)


def test_the_installer_needs_no_installed_package() -> None:
    """It runs before .venv exists, so it imports only the standard library."""
    for name in ("install", "pip_and_uv", "lock"):
        code = f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import {name}"
        subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True)
