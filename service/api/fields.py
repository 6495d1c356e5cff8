"""The types of requests and responses. documents/ has those that imports share."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from documents.values.fields import (
    ID_SCHEMA,
    OBJECT_ID_PATTERN,
    Address,
    Amount,
    AmountOrZero,
    Currency,
    Id,
    Name,
    OptionalAddress,
    RequestModel,
    Text,
    Time,
    read_time,
)
from documents.values.rates import drop_zero_totals

__all__ = [
    "ID_SCHEMA",
    "OBJECT_ID_PATTERN",
    "Address",
    "Amount",
    "AmountOrZero",
    "Currency",
    "Id",
    "ListQuery",
    "Money",
    "Name",
    "OptionalAddress",
    "RequestModel",
    "ResponseModel",
    "Text",
    "Time",
    "Totals",
    "read_time",
]

Totals = Annotated[
    dict[str, int],
    BeforeValidator(drop_zero_totals),
    Field(description="Amounts in minor units, by currency.", examples=[{"USD": 2500}]),
]


class FilterQuery(BaseModel):
    """The filters that a list and its export share."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class ListQuery(BaseModel):
    """The query of every list. Subclasses add filters and sort orders."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    limit: Annotated[
        int, Field(ge=1, le=200, description="Maximum number of records per page.")
    ] = 50
    cursor: (
        Annotated[
            str, Field(max_length=2000, description="The `next_cursor` of the previous page.")
        ]
        | SkipJsonSchema[None]
    ) = None


class ResponseModel(BaseModel):
    """The base of responses, which are created from documents."""

    model_config = ConfigDict(from_attributes=True, arbitrary_types_allowed=True)


class Money(RequestModel):
    """An amount in minor units of a currency."""

    amount: AmountOrZero
    currency: Currency
