"""Hosts on one machine: a network namespace for each host, with a cable to a switch.

The switch is a bridge in its own namespace, so the machine's firewall does not affect it. All names
carry this process's ID, so that a later run can find and remove the remains of a killed run.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMESPACE_PATTERN = re.compile(r"\bmb([0-9]+)-[a-z0-9]+")
SWITCH_NAME = "sw"
UNUSED_HARDWARE_ADDRESS = "02:00:00:00:00:01"  # a hardware address that no host has
OPERATOR_HOST_BYTE = 254  # the last byte of the test process's address
# Debian puts iproute2 into a folder that may be missing from PATH.
IP_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

MISSING_IP_MESSAGE = (
    "The tests of several machines need the command `ip`, which is missing "
    "(Debian: sudo apt-get install iproute2)."
)
MISSING_NAMESPACES_MESSAGE = (
    "The tests of several machines need network namespaces, which cannot be created here. "
    "Run them as root with CAP_NET_ADMIN and CAP_SYS_ADMIN (in a container: --privileged), or "
    "allow user namespaces (sysctl user.max_user_namespaces, "
    "kernel.apparmor_restrict_unprivileged_userns)."
)


class NetworkUnavailable(Exception):
    """Hosts cannot be created here. The message gives the reason."""


def run_ip(*words: str) -> str:
    """Run `ip`, and return its output.

    Raises:
        NetworkUnavailable: `ip` is missing, or lacks permission.
    """
    command = shutil.which("ip", path=IP_SEARCH_PATH)
    if command is None:
        raise NetworkUnavailable(MISSING_IP_MESSAGE)
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkUnavailable(
            f"{MISSING_NAMESPACES_MESSAGE} (`ip {' '.join(words)}`: {done.stderr.strip()})"
        )
    return done.stdout


@dataclass(frozen=True)
class Host:
    """A machine whose processes see only its own network."""

    name: str
    namespace: str
    address: str

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another command on this host."""
        found = shutil.which("ip", path=IP_SEARCH_PATH)
        assert found  # `ip` created the host
        return [found, "netns", "exec", self.namespace, *command]

    def lose(self) -> None:
        """Kill all processes of the host at once, as a power failure would."""
        _kill(self.namespace)


class Network:
    """Hosts on a switch, until it is closed. This process is on the switch too, as the operator."""

    def __init__(self) -> None:
        pid = os.getpid()
        self._mark = f"mb{pid}"
        self._subnet = f"10.{192 + pid // 256 % 64}.{pid % 256}"
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> "Network":
        remove_leftover_hosts()
        try:
            run_ip("netns", "add", self._name(SWITCH_NAME))
            self._switch("link", "add", "bridge", "type", "bridge")
            self._switch("link", "set", "bridge", "up")
            own = self._name("op")
            run_ip(
                "link",
                "add",
                own,
                "type",
                "veth",
                "peer",
                "name",
                "op",
                "netns",
                self._name(SWITCH_NAME),
            )
            self._plug("op")
            run_ip("address", "add", f"{self._subnet}.{OPERATOR_HOST_BYTE}/24", "dev", own)
            run_ip("link", "set", "dev", own, "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def host(self, name: str) -> Host:
        """Add a host to the switch."""
        number = len(self.hosts) + 1
        host = Host(name, self._name(name), f"{self._subnet}.{number}")
        self.hosts[name] = host
        run_ip("netns", "add", host.namespace)
        inside, at_switch = ("-netns", host.namespace), ("netns", self._name(SWITCH_NAME))
        run_ip(*inside, "link", "add", "eth0", "type", "veth", "peer", "name", name, *at_switch)
        self._plug(name)
        run_ip(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run_ip(*inside, "link", "set", "dev", device, "up")
        return host

    @contextlib.contextmanager
    def unplug(self, host: Host) -> Iterator[None]:
        """Unplug the host's cable for the block, which drops packets in both directions."""
        self._switch("link", "set", "dev", host.name, "down")
        try:
            yield
        finally:
            self._switch("link", "set", "dev", host.name, "up")

    @contextlib.contextmanager
    def cut(self, host: Host, others: Sequence[Host]) -> Iterator[None]:
        """Block traffic between the host and the others for the block. All other traffic passes."""
        pairs = [pair for other in others for pair in ((host, other), (other, host))]
        for one, other in pairs:
            _neighbour(one, "replace", other, "lladdr", UNUSED_HARDWARE_ADDRESS, "nud", "permanent")
        try:
            yield
        finally:
            for one, other in pairs:
                _neighbour(one, "del", other)

    def close(self) -> None:
        """Kill the hosts' processes, and remove the hosts and the switch."""
        _remove(self._mark)

    def _name(self, what: str) -> str:
        return f"{self._mark}-{what}"

    def _switch(self, *words: str) -> None:
        run_ip("-netns", self._name(SWITCH_NAME), *words)

    def _plug(self, port: str) -> None:
        self._switch("link", "set", "dev", port, "master", "bridge", "up")


def _neighbour(host: Host, change: str, other: Host, *how: str) -> None:
    run_ip("-netns", host.namespace, "neighbour", change, other.address, *how, "dev", "eth0")


def remove_leftover_hosts() -> None:
    """Remove the remains of killed runs."""
    marks = {
        found[0].split("-")[0]: found[1] for found in NAMESPACE_PATTERN.finditer(_everything())
    }
    for mark, pid in marks.items():
        if not Path(f"/proc/{pid}").exists():
            _remove(mark)


def _remove(mark: str) -> None:
    """Remove namespaces with their processes, and the remaining cables."""
    for name in _named(mark, run_ip("netns", "list")):
        _kill(name)
        run_ip("netns", "del", name)
    for name in _named(mark, run_ip("-brief", "link")):
        with contextlib.suppress(
            NetworkUnavailable
        ):  # the kernel removes it shortly after its other end
            run_ip("link", "del", name)


def _named(mark: str, text: str) -> set[str]:
    return {
        found[0] for found in NAMESPACE_PATTERN.finditer(text) if found[0].split("-")[0] == mark
    }


def _everything() -> str:
    return run_ip("netns", "list") + run_ip("-brief", "link")


def _kill(namespace: str) -> None:
    for pid in run_ip("netns", "pids", namespace).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
