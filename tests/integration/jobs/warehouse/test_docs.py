"""docs/reference/warehouse.md names every column, and every engine answers the guide's queries."""

import re
from typing import Any

from jobs.warehouse.engine import STORED_TABLES, Warehouse
from tests.integration.jobs.warehouse.test_export import AT, CAROL, a_day
from tools.testbed.cast import University, make_event
from tools.testbed.readme import ROOT
from tools.testbed.warehouse_contents import export_all

DOCUMENT = (ROOT / "docs" / "reference" / "warehouse.md").read_text()
GUIDE = (ROOT / "docs" / "how-to" / "warehouse.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", GUIDE, re.S)


def ask(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    with warehouse.query(query) as answer:
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_the_page_names_every_column() -> None:
    for table in STORED_TABLES:
        line = next(one for one in DOCUMENT.splitlines() if one.startswith(f"| `{table.name}` |"))
        told = [name for code in re.findall(r"`([^`]*)`", line) for name in code.split(", ")]
        assert sorted(told[1:]) == sorted(["id", *(column.name for column in table.columns)])


def test_the_pages_ten_queries_run(ann: University, warehouse: Warehouse) -> None:
    made = a_day(ann)
    ann.gift(made["spring"], 500, currency="EUR", donated_at="2026-11-02T02:00:00Z")
    ann.deliver([make_event(made["carols"], "open", AT + 3600, email=CAROL["email"])])
    export_all(warehouse)
    assert len(QUERIES) == 10
    answers = [ask(warehouse, query) for query in QUERIES]
    assert all(answers)
    raised, funnel, days, matches, brought, people, never, links, hours, missing = answers
    assert [(row["currency"], row["raised"], row["raised_by_email"]) for row in raised] == [
        ("USD", 2500, 2500),
        ("EUR", 500, 500),
    ]
    assert list(funnel[0].values()) == ["Appeal", 2, 1, 2, 1, 1]
    assert [str(row["day"])[:10] for row in days] == ["2026-11-01", "2026-11-02"]
    assert {row["match"]: row["gifts"] for row in matches} == {"link": 1, "address": 1}
    assert list(brought[0].values()) == ["Appeal", 900, 2500]
    assert [list(row.values()) for row in people] == [[2, 1]]
    assert [list(row.values()) for row in links] == [["https://give.example.edu/", 1, 0]]
    assert [[int(value) for value in row.values()] for row in hours] == [[1, 2]]
    assert missing[0]["events"] == 1
    assert [list(row.values()) for row in never] == [["Spring", 1]]
