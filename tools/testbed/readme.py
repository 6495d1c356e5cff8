"""The README, for the tests that compare it with the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def find_group(pattern: str, text: str) -> str:
    """Return the group of the first match. `.` matches line ends, and `$` matches before each."""
    found = re.search(pattern, text, re.S | re.M)
    assert found, f"nothing matches {pattern}"
    return found[1]
