"""The limits of the pages that a newcomer reads first."""

from tools.testbed.readme import README, ROOT

README_BYTES = 5_000
ARCHITECTURE_WORDS = 900


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= README_BYTES


def test_the_architecture_is_short() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().split()) <= ARCHITECTURE_WORDS
