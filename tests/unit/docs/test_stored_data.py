"""The page about stored data names every collection."""

import re
from pathlib import Path

from documents.migrations.indexes import DOCUMENTS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "stored-data.md"


def test_the_page_names_every_collection_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(one._get_collection_name() for one in DOCUMENTS)
