"""up.env: for a shell, for simpler parsers, and for the other commands."""

import subprocess
from pathlib import Path

import pytest

from service.local import addresses

OURS = {
    "MATCHBACK_URL": "http://127.0.0.1:8000",
    "MATCHBACK_MONGODB_URI": "mongodb://127.0.0.1:1/matchback?replicaSet=rs0",
    "MATCHBACK_REDIS_URL": "redis://127.0.0.1:2/0",
}


@pytest.mark.parametrize(
    "uri", [OURS["MATCHBACK_MONGODB_URI"], "mongodb://u:p$w'd;x@h/?replicaSet=rs0&tls=true"]
)
def test_a_shell_and_the_commands_read_the_same(tmp_path: Path, uri: str) -> None:
    given = {**OURS, "MATCHBACK_MONGODB_URI": uri}
    addresses.write_addresses(tmp_path, given)
    assert addresses.read_addresses(tmp_path) == given
    script = f'. "{tmp_path}/up.env" && printf %s "$MATCHBACK_MONGODB_URI"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == uri


def test_a_line_based_parser_can_read_it(tmp_path: Path) -> None:
    addresses.write_addresses(tmp_path, OURS)
    lines = addresses.env_file_path(tmp_path).read_text().splitlines()
    assert dict(line.split("=", 1) for line in lines) == OURS


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    addresses.write_addresses(tmp_path, OURS)
    assert addresses.env_file_path(tmp_path).stat().st_mode & 0o077 == 0
