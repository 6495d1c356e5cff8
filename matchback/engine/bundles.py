"""Bundles: the counters that some targets of a source have in common, computed once for them.

Fundraisers and mailings have equal counters of emails, for example.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .contribution import NO_AMOUNTS_TEXT, Amounts, StoredShare, Target, add_amounts, to_text

if TYPE_CHECKING:
    from .caches import CounterCache

COUNT_EVERY_ROW: Callable[[object], bool] = lambda row: True  # noqa: E731
COUNT_AS_ONE: Callable[[object], int] = lambda row: 1  # noqa: E731

Condition = Callable[[Any], bool]
Place = tuple[str, str]  # a target's collection, and the source's link to it
CounterSpec = tuple[str, Callable[[Any], int], Callable[[Any], str] | None]  # field, amount and by
# Counters by their condition, so that each row is tested once for all counters with the condition.
CounterSpecs = tuple[tuple[Condition, tuple[CounterSpec, ...]], ...]
# Counters with several amounts: field, when and split.
SplitSpecs = tuple[tuple[str, Condition, Callable[[Any], Mapping[str, int]]], ...]


class Bundle(NamedTuple):
    """Places, and the counters that all of them have. Equal counters have equal numbers."""

    places: list[Place]
    number: int
    counters: CounterSpecs
    splits: SplitSpecs

    def find_amounts(self, row: Mapping[str, Any], known: dict[int, Amounts]) -> Amounts:
        """Return the amounts of a row.

        Args:
            known: amounts of rows with this signature without splits, by number. Add missing ones.
        """
        if (amounts := known.get(self.number)) is None:
            amounts = known[self.number] = _sum_amounts(self.counters, row)
        return _add_splits(amounts, self.splits, row) if self.splits else amounts


class PlannedShare(NamedTuple):
    """A share of all rows with one signature: its amounts as JSON, without splits."""

    text: str
    places: list[Place]
    splits: SplitSpecs


class KnownAmounts:
    """Known values of the rows with one signature: amounts by number of a bundle, and shares."""

    __slots__ = ("by_number", "plan")

    def __init__(self) -> None:
        self.by_number: dict[int, Amounts] = {}
        self.plan: list[PlannedShare] | None = None


def group_counters(caches: "Sequence[CounterCache[Any]]") -> list[Bundle]:
    """Group the counters of a source with equal functions."""
    by_place: dict[Place, list[CounterCache[Any]]] = {}
    for cache in caches:
        by_place.setdefault((cache.target, cache.link), []).append(cache)
    bundles: dict[tuple[CounterSpecs, SplitSpecs], list[Place]] = {}
    for place, kept in by_place.items():
        splits = tuple((one.field, one.when, one.split) for one in kept if one.split)
        bundles.setdefault((_group_by_condition(kept), splits), []).append(place)
    numbers: dict[CounterSpecs, int] = {}
    return [
        Bundle(places, numbers.setdefault(counters, len(numbers)), counters, splits)
        for (counters, splits), places in bundles.items()
    ]


def _group_by_condition(caches: "Sequence[CounterCache[Any]]") -> CounterSpecs:
    groups: dict[Condition, list[CounterSpec]] = {}
    for cache in caches:
        if not cache.split:
            groups.setdefault(cache.when, []).append((cache.field, cache.amount, cache.by))
    return tuple((when, tuple(specs)) for when, specs in groups.items())


def has_distinct_targets(bundles: Sequence[Bundle]) -> bool:
    """Return whether no collection is the target of two links."""
    names = [name for bundle in bundles for name, _ in bundle.places]
    return len(set(names)) == len(names)


def list_targets(places: Sequence[Place], row: Mapping[str, Any]) -> list[Target]:
    """Return the targets to which a row links."""
    targets: list[Target] = []
    for name, link in places:
        id_ = row.get(link)
        if isinstance(id_, list):
            targets += [(name, one) for one in id_]
        elif id_ is not None:
            targets.append((name, id_))
    return targets


def plan_shares(
    bundles: Sequence[Bundle], row: Mapping[str, Any], known: dict[int, Amounts]
) -> list[PlannedShare]:
    """Return the shares of all rows with the signature of this one."""
    plan = []
    for places, number, counters, splits in bundles:
        if (amounts := known.get(number)) is None:
            amounts = known[number] = _sum_amounts(counters, row)
        if amounts or splits:
            plan.append(PlannedShare(to_text(amounts), places, splits))
    return plan


def build_shares(plan: Sequence[PlannedShare], row: Mapping[str, Any]) -> list[StoredShare]:
    """Return the stored form of a row's contribution, by the plan of its signature.

    The amounts of splits are shares of their own, because they differ from row to row. So the
    other shares of rows with one signature stay equal.
    """
    shares: list[StoredShare] = []
    for text, places, splits in plan:
        flat: list[Any] = []
        for name, link in places:
            id_ = row.get(link)
            if isinstance(id_, list):
                for one in id_:
                    flat += (name, one)
            elif id_ is not None:
                flat += (name, id_)
        if not flat:
            continue
        if text != NO_AMOUNTS_TEXT:
            _add_share(shares, text, flat)
        if splits and (amounts := _add_splits({}, splits, row)):
            _add_share(shares, to_text(amounts), flat)
    return shares


def _add_share(shares: list[StoredShare], text: str, flat: list[Any]) -> None:
    for share in shares:
        if share[0] == text:
            share.extend(flat)
            return
    shares.append([text, *flat])


def _add_splits(amounts: Amounts, splits: SplitSpecs, row: Mapping[str, Any]) -> Amounts:
    for name, when, split in splits:
        if (when is COUNT_EVERY_ROW or when(row)) and (parts := split(row)):
            amounts = dict(amounts)
            add_amounts(amounts, {f"{name}.{key}": amount for key, amount in parts.items()})
    return amounts


def _sum_amounts(counters: CounterSpecs, row: Mapping[str, Any]) -> Amounts:
    amounts: Amounts = {}
    for when, specs in counters:
        if when is not COUNT_EVERY_ROW and not when(row):
            continue
        for name, amount_of, by in specs:
            if amount := 1 if amount_of is COUNT_AS_ONE else amount_of(row):
                path = f"{name}.{by(row)}" if by else name
                amounts[path] = amounts.get(path, 0) + amount
    return amounts
