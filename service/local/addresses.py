"""DIR/up.env: the addresses of all parts and the master keys, for shells and commands."""

import os
import re
import shlex
from pathlib import Path

BARE_ADDRESS_PATTERN = re.compile(r"[A-Za-z0-9_@%+=:,./?\[\]-]+")
ADDRESS_VARIABLES = (
    "MATCHBACK_URL",
    "MATCHBACK_MONGODB_URI",
    "MATCHBACK_REDIS_URL",
    "MATCHBACK_MASTER_KEYS",
    "MATCHBACK_WAREHOUSE_URL",
)


def env_file_path(data: Path) -> Path:
    """Return the path of the file."""
    return data / "up.env"


def write_addresses(data: Path, addresses: dict[str, str]) -> None:
    """Replace the file atomically."""
    lines = [
        f"{name}={_quoted(addresses[name])}\n" for name in ADDRESS_VARIABLES if name in addresses
    ]
    draft = data / "up.env.new"
    draft.write_text("".join(lines))
    draft.chmod(0o600)
    draft.replace(env_file_path(data))


def _quoted(address: str) -> str:
    """Quote the address only if a shell needs quotes, so that simple readers can read the file."""
    return address if BARE_ADDRESS_PATTERN.fullmatch(address) else shlex.quote(address)


def read_addresses(data: Path) -> dict[str, str]:
    """Return the file's variables, or none if it does not exist."""
    if not env_file_path(data).exists():
        return {}
    words = shlex.split(env_file_path(data).read_text())
    pairs = (word.split("=", 1) for word in words if "=" in word)
    return {name: value for name, value in pairs if name in ADDRESS_VARIABLES}


def apply_addresses(data: Path, *, first: bool) -> None:
    """Add the variables to the environment. With `first`, overwrite existing variables."""
    for name, value in read_addresses(data).items():
        if first or name not in os.environ:
            os.environ[name] = value
