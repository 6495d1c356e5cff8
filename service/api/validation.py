"""Validation of requests against a model, at a bounded cost and with a bounded list of errors."""

from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from documents.values.json_size import MAX_JSON_MEMBERS, has_too_many_members
from service.api.problems import MAX_LISTED_ERRORS, InvalidRequest, to_json_pointer

TOO_MANY_MEMBERS_ERROR = {
    "pointer": "",
    "code": "too_many_members",
    "detail": f"Must have at most {MAX_JSON_MEMBERS:,} fields and items.",
}
# The form in which pydantic reports an unknown field.
UNKNOWN_FIELD_ERROR = {"code": "extra_forbidden", "detail": "Extra inputs are not permitted"}

M = TypeVar("M", bound=BaseModel)


def validate_value(model: type[M], value: Any, size: int | None = None) -> M:
    """Return the value as the model.

    Args:
        size: length in bytes of the JSON that contains the value.

    Raises:
        InvalidRequest: the value does not fit the model or has too many members.
    """
    may_be_large = size is None or size > MAX_JSON_MEMBERS  # a member takes at least a byte
    if may_be_large and has_too_many_members(value):
        raise _too_large(model, value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest.from_pydantic(error) from None


def _too_large(model: type[BaseModel], value: Any) -> InvalidRequest:
    """Return errors for some unknown fields, the likely cause, and the number of the others."""
    known = model.model_fields
    names = list(value) if isinstance(value, dict) else []
    unknown = (name for name in names if name not in known)
    named = [
        {"pointer": to_json_pointer((name,)), **UNKNOWN_FIELD_ERROR}
        for name in islice(unknown, MAX_LISTED_ERRORS - 1)
    ]
    return InvalidRequest([TOO_MANY_MEMBERS_ERROR, *named], left_out=sum(1 for _ in unknown))
