"""Hosts on one machine: a network namespace each, with a cable to a switch.

The switch is a bridge in its own namespace, so the machine's firewall does not affect it. All names
carry this process's ID, so that a later run finds and removes what a killed run left.
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
OPERATOR_HOST_BYTE = 254  # the last byte of the address of whoever runs the tests
# Debian's iproute2 is not on everybody's PATH.
IP_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

MISSING_IP_MESSAGE = (
    "The tests of several machines need the command «ip», which is missing "
    "(Debian: sudo apt-get install iproute2)."
)
MISSING_NAMESPACES_MESSAGE = (
    "The tests of several machines need network namespaces, which cannot be made here: run them "
    "as root with CAP_NET_ADMIN and CAP_SYS_ADMIN (in a container: --privileged), or allow user "
    "namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)."
)


class NetworkUnavailable(Exception):
    """Hosts cannot be made here. The message says what is missing."""


def run_ip(*words: str) -> str:
    """Run `ip`; what it printed.

    Raises:
        NoNetwork: it is missing, or may not do that.
    """
    command = shutil.which("ip", path=IP_SEARCH_PATH)
    if command is None:
        raise NetworkUnavailable(MISSING_IP_MESSAGE)
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkUnavailable(
            f"{MISSING_NAMESPACES_MESSAGE} («ip {' '.join(words)}»: {done.stderr.strip()})"
        )
    return done.stdout


@dataclass(frozen=True)
class Host:
    """A machine: what runs in it sees its own network alone."""

    name: str
    namespace: str
    address: str

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command, as it is run on this host."""
        found = shutil.which("ip", path=IP_SEARCH_PATH)
        assert found  # the host was made with it
        return [found, "netns", "exec", self.namespace, *command]

    def lose(self) -> None:
        """As if its power failed: all its processes end at once."""
        _kill(self.namespace)


class Network:
    """Hosts on a switch, until it is closed. This process is on it, too, as the operator."""

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
        """A new machine on the switch."""
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
        """Within, its cable is out: what is sent to it or by it is lost without a word."""
        self._switch("link", "set", "dev", host.name, "down")
        try:
            yield
        finally:
            self._switch("link", "set", "dev", host.name, "up")

    @contextlib.contextmanager
    def cut(self, host: Host, others: Sequence[Host]) -> Iterator[None]:
        """Within, the host and the others do not reach each other; all else does."""
        pairs = [pair for other in others for pair in ((host, other), (other, host))]
        for one, other in pairs:
            _neighbour(one, "replace", other, "lladdr", UNUSED_HARDWARE_ADDRESS, "nud", "permanent")
        try:
            yield
        finally:
            for one, other in pairs:
                _neighbour(one, "del", other)

    def close(self) -> None:
        """End what runs on the hosts, and take all away."""
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
    """Take away what runs that were killed have left."""
    marks = {
        found[0].split("-")[0]: found[1] for found in NAMESPACE_PATTERN.finditer(_everything())
    }
    for mark, pid in marks.items():
        if not Path(f"/proc/{pid}").exists():
            _remove(mark)


def _remove(mark: str) -> None:
    """Namespaces with what runs in them, and the cables that are left."""
    for name in _named(mark, run_ip("netns", "list")):
        _kill(name)
        run_ip("netns", "del", name)
    for name in _named(mark, run_ip("-brief", "link")):
        with contextlib.suppress(NetworkUnavailable):  # it goes with its other end, a moment later
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
