"""The size of a JSON value, counted in members: the fields of its objects and items of its arrays.

A validator reports an error for each member. So a value with more members than any record can have
is rejected before it is validated: the errors would cost many times the memory of the value.
"""

from typing import Any

MAX_JSON_MEMBERS = 1000


def has_too_many_members(value: Any) -> bool:
    """Whether the value has more than `MAX_JSON_MEMBERS` members, at all levels together.

    The cost is bounded by the limit, not by the value.
    """
    members, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict | list):
            continue
        members += len(one)
        if members > MAX_JSON_MEMBERS:
            return True
        waiting += one.values() if isinstance(one, dict) else one
    return False
