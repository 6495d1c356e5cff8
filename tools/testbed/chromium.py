"""Starting the browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# It looks nothing up, and asks nobody but us.
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str:
    """Where it is.

    Raises:
        FileNotFoundError: nowhere.
    """
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        raise FileNotFoundError("Debian's package «chromium» is missing: apt-get install chromium")
    return found


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """A headless one, until the end of the block."""
    # Its sandbox refuses root, who runs tests in containers; it sees our own pages alone.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*CHROMIUM_FLAGS, *sandbox]
        )
        try:
            yield browser
        finally:
            browser.close()
