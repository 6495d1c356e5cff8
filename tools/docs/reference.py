"""Generator of docs/reference from settings, commands and API: python -m tools.docs.reference."""

import argparse
from collections.abc import Callable

from tools.docs import api_page, commands_page, settings_page
from tools.testbed.readme import ROOT

FOLDER = ROOT / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page.page,
    "command-line.md": commands_page.page,
    "api.md": api_page.page,
}

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
