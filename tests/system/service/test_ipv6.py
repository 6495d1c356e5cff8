"""The real service on IPv6 and on other hosts: `serve`, and `matchback up` with its files."""

import subprocess
from pathlib import Path

import httpx
import pytest

from service.local import addresses, servers
from tests.system.test_up import up
from tools.testbed.stack import Servers, Stack


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "localhost", "0.0.0.0"])
def test_the_service_listens_on_the_configured_address(
    real_database: str, real_servers: Servers, memory_path: Path, host: str
) -> None:
    stack = Stack(real_servers, real_database, memory_path, environment={"MATCHBACK_HOST": host})
    reached = {"::": "[::1]", "::1": "[::1]", "0.0.0.0": "127.0.0.1"}.get(host, host)
    port = servers.find_free_port()
    stack.url = f"http://{reached}:{port}"
    stack.environment |= {
        "MATCHBACK_MONGODB_URI": real_database,
        "MATCHBACK_REDIS_URL": real_servers.redis_url,
        "MATCHBACK_PORT": str(port),
    }
    try:
        stack.start_web()
        assert httpx.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    finally:
        stack.stop()


@pytest.mark.parametrize(("host", "reached"), [("::1", "[::1]"), ("::", "[::1]")])
def test_up_writes_and_prints_a_working_address(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, reached: str
) -> None:
    monkeypatch.setenv("MATCHBACK_HOST", host)
    with up(memory_path, "--no-demo") as process:
        assert process.poll() is None
        url = addresses.read_addresses(memory_path)["MATCHBACK_URL"]
        assert url.startswith(f"http://{reached}:")
        assert httpx.get(f"{url}/readyz", timeout=10).status_code == 200
        command = f". {memory_path}/up.env && printf %s $MATCHBACK_URL"
        assert subprocess.check_output(["sh", "-c", command], text=True) == url
