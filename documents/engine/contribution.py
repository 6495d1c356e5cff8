"""What a record adds to the counters of others, and the arithmetic on it. Pure.

A contribution maps each target, a (collection, id), to the amounts added to its fields, e.g.
{("fundraisers", id): {"donations_count": 1, "raised.USD": 2500}}. Amounts are integers, never
zero, so that equal contributions are equal dictionaries.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Target = tuple[str, Any]
Amounts = dict[str, int]
Contribution = dict[Target, Amounts]
Row = dict[str, Any]


def add(total: Contribution, more: Mapping[Target, Mapping[str, int]], sign: int = 1) -> None:
    """Add `more` (or, with sign -1, take it) from `total`, in place."""
    for target, amounts in more.items():
        fields = total.setdefault(target, {})
        for field, amount in amounts.items():
            changed = fields.get(field, 0) + sign * amount
            if changed:
                fields[field] = changed
            else:
                fields.pop(field, None)
        if not fields:
            del total[target]


def difference(now: Contribution, before: Contribution) -> Contribution:
    """What must be added to the counters so that they hold `now` where they held `before`."""
    result: Contribution = {}
    for target in {**before, **now}:
        if change := _less(now.get(target, {}), before.get(target, {})):
            result[target] = change
    return result


def _less(now: Amounts, before: Amounts) -> Amounts:
    if now == before:
        return {}
    fields = {**before, **now}
    return {name: n for name in fields if (n := now.get(name, 0) - before.get(name, 0))}


def total(contributions: Iterable[Contribution]) -> Contribution:
    """The sum of many."""
    result: Contribution = {}
    for contribution in contributions:
        add(result, contribution)
    return result


def to_stored(contribution: Contribution) -> list[list[Any]]:
    """The form kept on the source record as `counted`, in an order of its own."""
    ordered = sorted(contribution.items(), key=lambda item: (item[0][0], str(item[0][1])))
    return [[collection, id_, dict(amounts)] for (collection, id_), amounts in ordered]


def from_stored(counted: Sequence[Sequence[Any]] | None) -> Contribution:
    """Read `counted` back; a record never counted has contributed nothing."""
    return {(collection, id_): dict(amounts) for collection, id_, amounts in counted or ()}


def increase(row: Row, amounts: Amounts) -> None:
    """Do to a row in memory what `$inc` does to the stored one: dotted paths, missing is zero."""
    for path, amount in amounts.items():
        place, name = leaf(row, path)
        place[name] = place.get(name, 0) + amount


def leaf(row: Row, path: str) -> tuple[Row, str]:
    """Where a dotted path leads: the innermost dictionary, made if need be, and its key."""
    *parents, name = path.split(".")
    for parent in parents:
        row = row.setdefault(parent, {})
    return row, name
