"""Hosts are separate, reach each other unless they are cut off, and leave nothing behind."""

import os
import subprocess
import sys

import pytest

from tools.machines import network as module
from tools.machines.network import Host, Network, NetworkUnavailable, remove_leftover_hosts, run_ip
from tools.machines.unprivileged import run_as_root

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=0.5)
except ConnectionRefusedError:
    print("reached")
except OSError:
    print("lost")
"""


def meets(one: Host, other: Host) -> bool:
    """Return whether a packet arrives, and a response returns."""
    command = one.inside([sys.executable, "-c", CONNECT, other.address])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout == "reached\n"


def test_unplugged_and_cut_off_hosts_are_unreachable() -> None:
    if os.geteuid() != 0:
        run_as_root(f"{__file__}::test_unplugged_and_cut_off_hosts_are_unreachable")
        return
    with Network() as network:
        a, b, c = (network.host(name) for name in "abc")
        assert meets(a, b)
        with network.cut(a, [b]):
            assert [meets(a, b), meets(b, a), meets(a, c), meets(b, c)] == [
                False,
                False,
                True,
                True,
            ]
        with network.unplug(c):
            assert [meets(a, c), meets(c, a), meets(a, b)] == [False, False, True]
        assert [meets(a, b), meets(b, c)] == [True, True]
    assert f"mb{os.getpid()}-" not in run_ip("netns", "list") + run_ip("link")


def test_remains_of_a_killed_run_are_removed() -> None:
    if os.geteuid() != 0:
        run_as_root(f"{__file__}::test_remains_of_a_killed_run_are_removed")
        return
    build = (
        "import os, subprocess\n"
        "from tools.machines.network import Network\n"
        "network = Network().__enter__()\n"
        "subprocess.Popen(network.host('a').inside(['sleep', '600']), stdout=subprocess.DEVNULL)\n"
        "print(os.getpid(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", build]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    left = f"mb{killed.stdout.strip()}-"
    assert left in run_ip("netns", "list")
    remove_leftover_hosts()
    assert left not in run_ip("netns", "list") + run_ip("link")


def test_missing_requirements_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IP_SEARCH_PATH", "/nowhere")
    with pytest.raises(NetworkUnavailable, match="apt-get install iproute2"):
        Network().__enter__()
