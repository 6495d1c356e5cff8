"""Match classes under the names that earlier versions stored: direct, indirect and unresolved.

Readers use this module until the migrations 18 and 19 have renamed what is stored. A row that
failed keeps its former counters until it is settled again. Remove this module and its callers in
the first version that requires finished migrations and no failed donations before its upgrade.

Until then, two answers are less exact, because a row alone does not show that its plan's first gift
was pinned. Such a later instalment reads as `link`. Reports count pinned gifts as `link`.
"""

from collections.abc import Mapping
from typing import Any, Self

from documents.storage.marks import build_text_condition

FORMER_MATCHES = ("direct", "indirect", "unresolved")
FORMER_NAME_BY_MATCH = {
    "link": "direct",
    "pinned": "direct",
    "address": "indirect",
    "none": "unresolved",
}
FORMER_COUNTER_BY_MATCH = {"link": "direct", "address": "indirect", "none": "unresolved"}
MATCH_BY_FORMER_COUNTER = {former: match for match, former in FORMER_COUNTER_BY_MATCH.items()}


def get_current_match(stored: str | None, rule: str | None) -> str | None:
    """Return the current name of a stored class, which the decision's rule completes."""
    if stored == "direct" and rule == "pin":
        return "pinned"
    return MATCH_BY_FORMER_COUNTER.get(stored or "", stored)


def read_match(row: Mapping[str, Any]) -> str | None:
    """Return the class of a stored donation or past match, by its current name."""
    return get_current_match(row.get("match"), (row.get("decision") or {}).get("rule"))


def list_stored_names(match: str | None) -> list[str | None]:
    """Return all names that a stored row can have for a class."""
    former = FORMER_NAME_BY_MATCH.get(match or "")
    return [match, former] if former else [match]


def build_match_filter(match: str) -> dict[str, Any]:
    """Return the condition that finds the donations of a class under both names."""
    names = {"match": build_text_condition(in_=list_stored_names(match))}
    if match == "pinned":
        return {**names, "$or": [{"match": match}, {"decision.rule": "pin"}]}
    return {**names, "decision.rule": {"$ne": "pin"}} if match == "link" else names


def read_match_filter(filters: Mapping[str, Any]) -> str | None:
    """Return the class that the filters name, by a value or by `build_match_filter`; or None."""
    given: Any = filters.get("match")
    match: str | None = given["$in"][0] if isinstance(given, Mapping) else given
    return match


def add_former_counters(by_match: Mapping[str, Any], match: str) -> dict[str, Any]:
    """Return a class's count and amounts, with what is still counted under its former name."""
    names = [match, *filter(None, [FORMER_COUNTER_BY_MATCH.get(match)])]
    stored = [by_match[name] for name in names if name in by_match]
    raised: dict[str, int] = {}
    for counters in stored:
        for code, amount in counters.get("raised", {}).items():
            raised[code] = raised.get(code, 0) + amount
    return {"count": sum(counters.get("count", 0) for counters in stored), "raised": raised}


class FormerMatchReader:
    """A mixin for documents with a match. It reads a former name as the current one."""

    @classmethod
    def _from_son(cls, son: Mapping[str, Any], *args: Any, **kwargs: Any) -> Self:
        if son.get("match") in FORMER_MATCHES:
            son = {**son, "match": read_match(son)}
        read: Self = super()._from_son(son, *args, **kwargs)  # type: ignore[misc]
        return read
