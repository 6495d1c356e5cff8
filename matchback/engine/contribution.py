"""A record's contribution to the counters of other records, and its arithmetic. Pure.

A contribution maps each target, a (collection, ID), to the amounts for its fields, e.g.
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
StoredShare = list[Any]  # [amounts as JSON, collection, ID, collection, ID…]
StoredDocument = dict[str, Any]  # as MongoDB's driver returns it
NO_AMOUNTS_TEXT = "{}"

NO_AMOUNTS: Amounts = {}


def add(total: Contribution, more: Mapping[Target, Mapping[str, int]], sign: int = 1) -> None:
    """Add `more` to `total` in place, or subtract it if `sign` is -1."""
    for target, amounts in more.items():
        fields = total.setdefault(target, {})
        add_amounts(fields, amounts, sign)
        if not fields:
            del total[target]


def add_amounts(total: Amounts, more: Mapping[str, int], sign: int = 1) -> None:
    """Add `more` to the amounts of one target in place, or subtract it if `sign` is -1."""
    for field, amount in more.items():
        changed = total.get(field, 0) + sign * amount
        if changed:
            total[field] = changed
        else:
            total.pop(field, None)


def difference(now: Contribution, before: Contribution) -> Contribution:
    """Return the amounts to add to counters that hold `before`, so that they hold `now`."""
    if not before:
        return now
    gone = dict(before)
    pairs = [(target, amounts, gone.pop(target, NO_AMOUNTS)) for target, amounts in now.items()]
    pairs += [(target, NO_AMOUNTS, amounts) for target, amounts in gone.items()]
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


def sum_contributions(contributions: Iterable[Contribution]) -> Contribution:
    """Return the sum of several contributions."""
    result: Contribution = {}
    for contribution in contributions:
        add(result, contribution)
    return result


def list_linked(link: Any) -> Sequence[Any]:
    """Return the target IDs in a link field: none, one, or the distinct IDs of a list."""
    if link is None:
        return ()
    return link if isinstance(link, list) else (link,)


def to_stored(contribution: Contribution) -> list[StoredShare]:
    """Return the stored form of a contribution: [amounts, collection, ID, collection, ID…].

    Amounts are JSON, and targets with equal amounts share them. This form is half as long as nested
    documents, and MongoDB's driver reads it twice as fast.
    """
    stored: dict[str, list[Any]] = {}
    for (collection, id_), amounts in contribution.items():
        text = to_text(amounts)
        stored.setdefault(text, [text]).extend((collection, id_))
    return list(stored.values())


def to_text(amounts: Amounts) -> str:
    """Return the stored form of amounts."""
    return orjson.dumps(amounts, option=orjson.OPT_SORT_KEYS).decode()


def from_stored(counted: Sequence[Sequence[Any]] | None) -> Contribution:
    """Return the contribution in `counted`. A record without `counted` has contributed nothing."""
    result: Contribution = {}
    for share in counted or ():
        amounts, targets = read_share(share)
        for place in range(0, len(targets), 2):
            target = targets[place], targets[place + 1]
            number = len(result)
            other = result.setdefault(target, amounts)
            if len(result) == number:  # another share has the target, too
                result[target] = total = dict(other)
                add_amounts(total, amounts)
    return result


def read_share(share: Sequence[Any]) -> tuple[Amounts, Sequence[Any]]:
    """Read a part of `counted`: the amounts, and the targets as [collection, ID, collection, …]."""
    if isinstance(share[-1], dict):  # [collection, ID, amounts]: the form of the first version
        return share[-1], share[:-1]
    return from_text(share[0]), share[1:]


@lru_cache(maxsize=4096)  # many emails have equal amounts
def from_text(text: str) -> Amounts:
    """Read the stored form of amounts. Do not change the result."""
    amounts: Amounts = orjson.loads(text)
    return amounts


@lru_cache(maxsize=4096)
def find_text_difference(now: str, before: str) -> Amounts:
    """Return the amounts between two stored forms. Do not change them."""
    return _less(from_text(now), from_text(before))


def increase(row: StoredDocument, amounts: Mapping[str, int]) -> None:
    """Add amounts to a row in memory, as `$inc` does: by dotted path, from zero if missing."""
    for path, amount in amounts.items():
        place, name = find_leaf(row, path)
        place[name] = place.get(name, 0) + amount


def find_leaf(row: StoredDocument, path: str) -> tuple[StoredDocument, str]:
    """Return the innermost dictionary of a dotted path and its key. Create missing dictionaries."""
    *parents, name = path.split(".")
    for parent in parents:
        row = row.setdefault(parent, {})
    return row, name
