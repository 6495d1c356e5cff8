"""DIR/up.env: the addresses of all parts and the API key, for shells and for commands."""

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
    """The file."""
    return data / "up.env"


def write_addresses(data: Path, addresses: dict[str, str]) -> None:
    """Write it at once: a reader sees the old or the new."""
    lines = [
        f"{name}={_quoted(addresses[name])}\n" for name in ADDRESS_VARIABLES if name in addresses
    ]
    draft = data / "up.env.new"
    draft.write_text("".join(lines))
    draft.chmod(0o600)
    draft.replace(env_file_path(data))


def _quoted(address: str) -> str:
    """Bare where a shell's assignment takes it so: simpler readers than a shell read it, too."""
    return address if BARE_ADDRESS_PATTERN.fullmatch(address) else shlex.quote(address)


def read_addresses(data: Path) -> dict[str, str]:
    """What it says; nothing when there is none."""
    if not env_file_path(data).exists():
        return {}
    words = shlex.split(env_file_path(data).read_text())
    pairs = (word.split("=", 1) for word in words if "=" in word)
    return {name: value for name, value in pairs if name in ADDRESS_VARIABLES}


def apply_addresses(data: Path, *, first: bool) -> None:
    """Put it into this process's environment; `first`: even where that has its own."""
    for name, value in read_addresses(data).items():
        if first or name not in os.environ:
            os.environ[name] = value
