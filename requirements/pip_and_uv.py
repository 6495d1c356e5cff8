"""pip and uv as this clone runs them, with the person's own settings for indexes and proxies.

uv does not read pip's settings. This module translates them for a person without settings for uv.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# The Python outside of .venv, also where the one inside runs this file.
BASE = getattr(sys, "_base_executable", "") or sys.executable
HASHED = ("--require-hashes", "--only-binary", ":all:", "--requirement")
# pip supports --python since version 22.3.
HAS_PIP = "import pip; assert [int(x) for x in pip.__version__.split('.')[:2]] >= [22, 3]"
# A person's own settings for these would stop pip or uv from installing hashed locks.
OURS = {"PIP_USER": "0", "PIP_REQUIRE_HASHES": "0", "UV_REQUIRE_HASHES": "0"}
OURS |= {"UV_NO_VERIFY_HASHES": "0"}
UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
UV_NAMES = {
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")


class Uv:
    """uv of requirements/uv.txt, which pip installs into a folder.

    Raises:
        CalledProcessError: pip cannot install it, for example where uv has no wheel.
    """

    def __init__(self, folder: Path) -> None:
        lock = str(LOCKS / "uv.txt")
        install = [*pip(), "install", "--target", str(folder), "--no-compile", *HASHED, lock]
        run(install).check_returncode()
        self.program = str(folder / "bin" / "uv")
        self.pip = pip_settings(run([*pip(), "config", "list"]).stdout)

    def __call__(self, *words: str, given: str | None = None) -> None:
        """Run `uv pip` with these words, and `given` as its standard input."""
        offline = ["--no-index"] if is_on(self.pip.get("no-index", "")) else []
        own = uv_settings(self.pip, os.environ, has_uv_config(os.environ))
        command = [self.program, "pip", words[0], "--quiet", *offline, *words[1:]]
        variables = {**environment(), **own}
        subprocess.run(command, env=variables, cwd=ROOT, input=given, text=True, check=True)


@cache
def has_pip_outside() -> bool:
    """Return whether the Python outside of .venv has a pip that can install into .venv."""
    return run([BASE, "-c", HAS_PIP]).returncode == 0


def pip() -> list[str]:
    """Return pip's command for .venv."""
    if has_pip_outside():
        return [BASE, "-m", "pip", "--python", str(PYTHON) if PYTHON.exists() else BASE]
    return [str(PYTHON), "-m", "pip"]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command without showing its output."""
    return subprocess.run(command, env=environment(), capture_output=True, check=False, text=True)


def environment() -> dict[str, str]:
    """Return the environment for pip and uv."""
    return {**os.environ, **OURS}


def pip_settings(listed: str) -> dict[str, str]:
    """Read what `pip config list` prints. Variables precede [install], which precedes [global]."""
    found: dict[str, str] = {}
    pairs = [line.split("=", 1) for line in listed.splitlines() if "=" in line]
    for section in ("global.", "install.", ":env:."):
        for name, value in pairs:
            if name.startswith(section):
                found[name.removeprefix(section)] = str(ast.literal_eval(value))
    return found


def uv_settings(
    pip: Mapping[str, str], variables: Mapping[str, str], has_config: bool
) -> dict[str, str]:
    """Translate pip's settings, which uv does not read, for a person without settings for uv."""
    made = {UV_NAMES[name]: value for name, value in pip.items() if name in UV_NAMES}
    if "proxy" in pip:
        made |= dict.fromkeys(PROXIES, pip["proxy"])
    if "no-cache-dir" in pip:
        made["UV_NO_CACHE"] = "1" if is_on(pip["no-cache-dir"]) else "0"
    made = {name: value for name, value in made.items() if not is_set(name, variables)}
    if has_config or any(name in variables for name in UV_INDEXES):
        return made
    return made | uv_indexes(pip)


def uv_indexes(pip: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's indexes."""
    made = {}
    if "index-url" in pip:
        made["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "find-links" in pip:
        made["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if "extra-index-url" in pip:
        made["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
        # pip does the same. The hashes of the locks make this safe.
        made["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return made


def is_set(name: str, variables: Mapping[str, str]) -> bool:
    """Return whether a variable is set, in either case for the names of proxies."""
    return name in variables or (name in PROXIES and name.lower() in variables)


def is_on(value: str) -> bool:
    """Return whether pip reads a setting as true."""
    return value.strip().lower() in {"1", "true", "t", "yes", "y", "on"}


def has_uv_config(variables: Mapping[str, str]) -> bool:
    """Return whether a configuration file of uv's sets an index."""
    home = variables.get("XDG_CONFIG_HOME") or f"{variables.get('HOME', '')}/.config"
    folders = [home, *variables.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"), "/etc"]
    files = [f"{folder}/uv/uv.toml" for folder in folders] + [variables.get("UV_CONFIG_FILE", "")]
    texts = [Path(file).read_text() for file in files if file and Path(file).is_file()]
    return any("index" in text or "find-links" in text for text in texts)
