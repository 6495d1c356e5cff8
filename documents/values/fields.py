"""The types of values in requests, responses and imports, for validation and OpenAPI.

Requests are strict: the service converts no types. "12" is not a number, and true is not an amount.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from bson import ObjectId
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from documents.values.address import MAX_ADDRESS_LENGTH, is_address, strip_address
from documents.values.money import MAX_AMOUNT
from documents.values.time import truncate_to_milliseconds
from documents.values.validators import check_currency, check_text, clean_address

EARLIEST_TIME, LATEST_TIME = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
RFC3339_PATTERN = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
OBJECT_ID_PATTERN = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)


def _stripped(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "Must not be blank.")
    return text.strip()


def _address(text: str) -> str:
    """Return the address without hidden or surrounding characters."""
    address = clean_address(text)
    if not is_address(address):
        raise PydanticCustomError("email", "Must be a valid email address.")
    return address


def read_time(value: Any) -> datetime:
    """Read an RFC 3339 time with an offset."""
    problem = PydanticCustomError(
        "time", "Must be an RFC 3339 time with an offset, such as 2026-11-23T10:00:00Z."
    )
    if not isinstance(value, str) or not RFC3339_PATTERN.fullmatch(value):
        raise problem
    try:
        time = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None
    if not EARLIEST_TIME <= time < LATEST_TIME:
        raise PydanticCustomError("time_range", "Must be between the years 1900 and 2200.")
    return truncate_to_milliseconds(time)


def format_time(time: datetime) -> str:
    """Return the time in UTC with a Z, and with milliseconds unless they are zero."""
    precision = "milliseconds" if time.microsecond else "seconds"
    return time.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def read_id(value: Any) -> ObjectId:
    """Read an ID of 24 hex digits."""
    if not isinstance(value, str) or not OBJECT_ID_PATTERN.fullmatch(value):
        raise PydanticCustomError("id", "Must be an ID of 24 hex digits.")
    return ObjectId(value)


def _either(read: Any, kind: type) -> Any:
    """Return a validator for documents, which hold the type, and for requests, which hold text."""
    return PlainValidator(lambda value: value if isinstance(value, kind) else read(value))


TIME_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2026-11-23T10:00:00Z"]}
ID_SCHEMA = {"type": "string", "pattern": "^[0-9a-fA-F]{24}$"}

Time = Annotated[
    datetime,
    _either(read_time, datetime),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema(TIME_SCHEMA),
]
Id = Annotated[
    ObjectId,
    _either(read_id, ObjectId),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema(ID_SCHEMA),
]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(check_text),
    AfterValidator(_stripped),
]
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(check_text)]
ADDRESS_LENGTH_NOTE = (
    f"At most {MAX_ADDRESS_LENGTH} characters after cleaning, which removes invisible and "
    "surrounding characters. At most 1,000 characters as sent"
)
Address = Annotated[
    str,
    StringConstraints(min_length=3, max_length=1000),
    AfterValidator(check_text),
    AfterValidator(_stripped),
    AfterValidator(_address),
    Field(
        description=f"{ADDRESS_LENGTH_NOTE}. All spellings of a mailbox identify one person.",
        json_schema_extra={"format": "email"},
    ),
]
ADDRESS_SCHEMA = {"type": "string", "format": "email", "minLength": 3, "maxLength": 1000}
# Forms send either blank or null for a missing address.
OptionalAddress = Annotated[
    Address | None,
    BeforeValidator(
        lambda value: None if isinstance(value, str) and not strip_address(value) else value
    ),
    WithJsonSchema(
        {
            "anyOf": [ADDRESS_SCHEMA, {"type": "string", "maxLength": 0}, {"type": "null"}],
            "description": f"Blank or null if unknown. {ADDRESS_LENGTH_NOTE}",
        }
    ),
]
Currency = Annotated[
    str,
    StringConstraints(pattern="^[A-Z]{3}$"),
    AfterValidator(check_currency),
    Field(description="ISO 4217 code, active or withdrawn."),
]
Amount = Annotated[
    int, Field(ge=1, le=MAX_AMOUNT, description="Amount in minor units, such as cents.")
]
AmountOrZero = Annotated[
    int, Field(ge=0, le=MAX_AMOUNT, description="Amount in minor units, such as cents.")
]


class RequestModel(BaseModel):
    """The base of request bodies, which rejects unknown fields and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
