"""The pages about stored data name every collection and every index."""

import re
from pathlib import Path

from documents.migrations.document_classes import DOCUMENT_CLASSES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
PAGE, INDEX_PAGE = REFERENCE / "stored-data.md", REFERENCE / "indexes.md"


def test_the_page_names_every_collection_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(one._get_collection_name() for one in DOCUMENT_CLASSES)


def test_the_page_of_indexes_lists_each_index_with_its_query_and_no_other() -> None:
    rows = [line.split("|")[1:-1] for line in INDEX_PAGE.read_text().splitlines() if "| `" in line]
    listed = [(row[0].strip(), *re.findall(r"`([a-z_.]+)`", row[1])) for row in rows]
    declared = [
        (one._get_collection_name(), *(field for field, _ in spec["fields"]))
        for one in DOCUMENT_CLASSES
        for spec in one._meta["index_specs"]
    ]
    assert sorted(listed) == sorted(declared)
    for row in rows:
        assert row[3].strip(), f"{row[0]}: name the query of {row[1]}"


def test_the_page_of_indexes_names_the_unique_and_partial_ones() -> None:
    """Indexes with the same fields differ in their kinds."""
    rows = [line.split("|")[1:-1] for line in INDEX_PAGE.read_text().splitlines() if "| `" in line]
    listed = [
        (row[0].strip(), row[1].replace("`", "").replace(" ", ""), *read_kind(row[2]))
        for row in rows
    ]
    declared = [
        (
            one._get_collection_name(),
            ",".join(field for field, _ in spec["fields"]),
            bool(spec.get("unique")),
            "partialFilterExpression" in spec,
            "expireAfterSeconds" in spec,
        )
        for one in DOCUMENT_CLASSES
        for spec in one._meta["index_specs"]
    ]
    assert sorted(listed) == sorted(declared)


def read_kind(text: str) -> tuple[bool, bool, bool]:
    return "unique" in text, "partial" in text, "TTL" in text
