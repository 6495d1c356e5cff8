"""Validation of requests against a model, at a bounded cost and with a bounded list of errors."""

from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from documents.values.json_size import MEMBERS_LIMIT, is_too_large
from service.api.problems import ERRORS_LISTED, Invalid, pointer

TOO_MANY = {
    "pointer": "",
    "code": "too_many_members",
    "detail": f"Must have at most {MEMBERS_LIMIT:,} fields and items.",
}
# The form in which pydantic reports an unknown field.
UNKNOWN = {"code": "extra_forbidden", "detail": "Extra inputs are not permitted"}

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], value: Any) -> M:
    """Return the value as the model.

    Raises:
        Invalid: the value does not fit the model or has too many members.
    """
    if is_too_large(value):
        raise _too_large(model, value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid.from_pydantic(error) from None


def _too_large(model: type[BaseModel], value: Any) -> Invalid:
    """Return errors for some unknown fields, the likely cause, and the number of the others."""
    known = model.model_fields
    names = list(value) if isinstance(value, dict) else []
    unknown = (name for name in names if name not in known)
    named = [
        {"pointer": pointer((name,)), **UNKNOWN} for name in islice(unknown, ERRORS_LISTED - 1)
    ]
    return Invalid([TOO_MANY, *named], left_out=sum(1 for _ in unknown))
