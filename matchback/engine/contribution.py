"""A record's contribution to the counters of other records, and its arithmetic. Pure.

A contribution maps each target, a (collection, id), to the amounts added to its fields, e.g.
{("fundraisers", id): {"donations_count": 1, "raised.USD": 2500}}. Amounts are integers and never
zero, so equal contributions are equal dictionaries. Targets with equal amounts share one
dictionary, which never changes once it is part of a contribution.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

Target = tuple[str, Any]
Amounts = dict[str, int]
Contribution = dict[Target, Amounts]
StoredDocument = dict[str, Any]  # as MongoDB's driver returns it

NONE: Amounts = {}


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
    gone = dict(before)
    pairs = [(target, amounts, gone.pop(target, NONE)) for target, amounts in now.items()]
    pairs += [(target, NONE, amounts) for target, amounts in gone.items()]
    result: Contribution = {}
    known: dict[tuple[int, int], Amounts] = {}
    for target, amounts, was in pairs:
        shared = id(amounts), id(was)
        if (change := known.get(shared)) is None:
            change = known[shared] = _less(amounts, was)
        if change:
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
    """The form kept on the source record as `counted`: [amounts, collection, id, collection, id…].

    Amounts are JSON, and once for all targets that are given the same: half as long as a document
    in a document for each, and read twice as fast.
    """
    stored: dict[str, list[Any]] = {}
    for (collection, id_), amounts in contribution.items():
        text = orjson.dumps(amounts, option=orjson.OPT_SORT_KEYS).decode()
        stored.setdefault(text, [text]).extend((collection, id_))
    return list(stored.values())


def from_stored(counted: Sequence[Sequence[Any]] | None) -> Contribution:
    """Read `counted` back; a record never counted has contributed nothing."""
    result: Contribution = {}
    for share in counted or ():
        amounts, targets = read_share(share)
        for place in range(0, len(targets), 2):
            result[targets[place], targets[place + 1]] = amounts
    return result


def read_share(share: Sequence[Any]) -> tuple[Amounts, Sequence[Any]]:
    """Read a part of `counted`: the amounts, and the targets as [collection, id, collection, …]."""
    if isinstance(share[-1], dict):  # [collection, id, amounts], as the first version kept it
        return share[-1], share[:-1]
    return _read(share[0]), share[1:]


@lru_cache(maxsize=4096)  # emails to which the same happened have counted the same
def _read(text: str) -> Amounts:
    amounts: Amounts = orjson.loads(text)
    return amounts


def increase(row: StoredDocument, amounts: Mapping[str, int]) -> None:
    """Do to a row in memory what `$inc` does to the stored one: dotted paths, missing is zero."""
    for path, amount in amounts.items():
        place, name = leaf(row, path)
        place[name] = place.get(name, 0) + amount


def leaf(row: StoredDocument, path: str) -> tuple[StoredDocument, str]:
    """Return the innermost dictionary of a dotted path and its key. Make what is missing."""
    *parents, name = path.split(".")
    for parent in parents:
        row = row.setdefault(parent, {})
    return row, name
