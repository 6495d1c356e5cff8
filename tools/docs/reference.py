"""Generator of docs/reference from settings, commands and API: python -m tools.docs.reference."""

import argparse
from collections.abc import Callable

from tools.docs import api_page, commands_page, settings_page
from tools.testbed.readme import ROOT

REFERENCE_FOLDER = ROOT / "docs" / "reference"
PAGE_BUILDERS: dict[str, Callable[[], str]] = {
    "settings.md": settings_page.build_page,
    "command-line.md": commands_page.build_page,
    "api.md": api_page.build_page,
}

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, page in PAGE_BUILDERS.items():
        (REFERENCE_FOLDER / name).write_text(page())
