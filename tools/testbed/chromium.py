"""Start of the browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium then sends requests only to the tested service.
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str:
    """Return the path of Chromium.

    Raises:
        FileNotFoundError: Chromium is not installed.
    """
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        raise FileNotFoundError("Debian's package `chromium` is missing: apt-get install chromium")
    return found


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """Start a headless browser for the block."""
    # Chromium's sandbox rejects root, which runs tests in containers. The browser loads only the
    # project's own pages.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*CHROMIUM_FLAGS, *sandbox]
        )
        try:
            yield browser
        finally:
            browser.close()
