"""Validation of values against a model, at a bounded cost and with a bounded list of errors."""

from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from documents.values.json_size import MAX_JSON_MEMBERS, has_too_many_members

MAX_POINTER_LENGTH = 100
MAX_LISTED_ERRORS = 20
INVALID_KEY_MARK = "[key]"  # pydantic's mark after a dictionary's invalid key

TOO_MANY_MEMBERS_ERROR = {
    "pointer": "",
    "code": "too_many_members",
    "detail": f"Must have at most {MAX_JSON_MEMBERS:,} fields and items.",
}
# The form in which pydantic reports an unknown field.
UNKNOWN_FIELD_ERROR = {"code": "extra_forbidden", "detail": "Extra inputs are not permitted"}

M = TypeVar("M", bound=BaseModel)


class InvalidRequest(Exception):
    """A well-formed request with unacceptable values: 422.

    Attributes:
        errors: at most `MAX_LISTED_ERRORS` errors.
        left_out: number of further errors.
    """

    def __init__(self, errors: list[dict[str, str]], left_out: int = 0) -> None:
        super().__init__("invalid")
        self.errors = errors
        self.left_out = left_out

    @classmethod
    def from_pydantic(cls, error: ValidationError) -> "InvalidRequest":
        found = error.errors(include_input=False, include_url=False, include_context=False)
        listed = [
            {"pointer": to_json_pointer(part["loc"]), "code": part["type"], "detail": part["msg"]}
            for part in found[:MAX_LISTED_ERRORS]
        ]
        return cls(listed, left_out=len(found) - len(listed))


def to_json_pointer(location: tuple[int | str, ...]) -> str:
    """Return a JSON pointer (RFC 6901). Truncate names, because they come from the client."""
    if location and location[-1] == INVALID_KEY_MARK:
        location = location[:-1]  # the name itself is invalid, so point at it
    names = (str(part)[:MAX_POINTER_LENGTH] for part in location)
    parts = (name.replace("~", "~0").replace("/", "~1") for name in names)
    text = "".join(f"/{part}" for part in parts)
    return text[:MAX_POINTER_LENGTH].encode("utf-8", "replace").decode()


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
