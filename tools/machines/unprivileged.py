"""A user namespace in which a user without root privileges is root."""

import subprocess
import sys

from tools.machines.network import MISSING_NAMESPACES_MESSAGE, NetworkUnavailable

# `ip netns` keeps its names in /run, where only root may write.
NAMESPACE_SCRIPT = (
    'mount -t tmpfs tmpfs /run && PATH=$PATH:/sbin:/usr/sbin ip link set dev lo up && exec "$@"'
)


def run_as_root(test: str) -> None:
    """Run a test by its ID again, as root of new namespaces.

    Raises:
        NetworkUnavailable: the test failed, or such namespaces are unavailable. The message gives
            the reason.
    """
    spaces = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    try:
        subprocess.run([*spaces, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NetworkUnavailable(f"{MISSING_NAMESPACES_MESSAGE} ({error})") from None
    done = subprocess.run(
        [*spaces, "sh", "-c", NAMESPACE_SCRIPT, "sh", *pytest],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NetworkUnavailable(done.stdout + done.stderr)
