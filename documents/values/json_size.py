"""Size of a JSON value in members: the fields of its objects and the items of its arrays.

A validator reports an error for each member, and these errors need far more memory than the value.
So a value with more members than any record can have is rejected before validation.
"""

from typing import Any

MAX_JSON_MEMBERS = 1000


def has_too_many_members(value: Any) -> bool:
    """Return whether the value has more than `MAX_JSON_MEMBERS` members on all levels together.

    The limit bounds the cost, even for a larger value.
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
