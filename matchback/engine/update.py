"""Builder of MongoDB's update documents. Pure."""

import operator as arithmetic
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

COMBINED: Mapping[str, Callable[[Any, Any], Any]] = {
    "$inc": arithmetic.add,
    "$min": min,
    "$max": max,
}


class Update:
    """The changes of one document, collected from several callers.

    Dotted names are paths. Calls for the same field are combined: the last value set, the sum of
    increments, the smallest minimum, the largest maximum. MongoDB rejects a field that two
    operators change.

    Attributes:
        operators: fields by operator, which is MongoDB's update document.
    """

    __slots__ = ("operators",)

    def __init__(self) -> None:
        self.operators: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.operators)

    def set(self, fields: Mapping[str, Any]) -> Self:
        """Store these values."""
        # Settling calls this several times for each record, so avoid another call here.
        if (known := self.operators.get("$set")) is not None:
            known.update(fields)
        elif fields:
            self.operators["$set"] = dict(fields)
        return self

    def unset(self, *names: str) -> Self:
        """Remove these fields."""
        return self._add("$unset", dict.fromkeys(names, ""))

    def set_or_unset(self, fields: Mapping[str, Any]) -> Self:
        """Store these values, and remove the fields whose value is None."""
        self.set({name: value for name, value in fields.items() if value is not None})
        return self.unset(*(name for name, value in fields.items() if value is None))

    def set_on_insert(self, fields: Mapping[str, Any]) -> Self:
        """Store these values if the write inserts the document."""
        return self._add("$setOnInsert", fields)

    def increment(self, amounts: Mapping[str, int]) -> Self:
        """Add to numbers. A missing number is zero."""
        return self._combine("$inc", amounts)

    def minimum(self, values: Mapping[str, Any]) -> Self:
        """Store each value that is smaller than the stored one."""
        return self._combine("$min", values)

    def maximum(self, values: Mapping[str, Any]) -> Self:
        """Store each value that is larger than the stored one."""
        return self._combine("$max", values)

    def push(self, name: str, items: Sequence[Any], *, most: int) -> Self:
        """Append to a list, and keep at most its first `most` items."""
        return self._add("$push", {name: {"$each": items, "$slice": most}})

    def withdraw(self, operator: str, name: str) -> Any:
        """Remove a field from an operator. Return its value, or None if it has none."""
        fields = self.operators.get(operator, {})
        value = fields.pop(name, None)
        if not fields:
            self.operators.pop(operator, None)
        return value

    def merge(self, more: "Update") -> Self:
        """Add the changes of another update."""
        for operator, fields in more.operators.items():
            if operator in COMBINED:
                self._combine(operator, fields)
            else:
                self._add(operator, fields)
        return self

    def _add(self, operator: str, fields: Mapping[str, Any]) -> Self:
        if (known := self.operators.get(operator)) is not None:
            known.update(fields)
        elif fields:
            self.operators[operator] = dict(fields)
        return self

    def _combine(self, operator: str, fields: Mapping[str, Any]) -> Self:
        if (known := self.operators.get(operator)) is None:
            if fields:
                self.operators[operator] = dict(fields)
            return self
        combine = COMBINED[operator]
        for name, value in fields.items():
            known[name] = combine(known[name], value) if name in known else value
        return self
