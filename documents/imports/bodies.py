"""The bodies of new records in the API, and those of the lines of an import.

A line of an import has the same fields. Its mailing implies the fundraiser.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from documents.values.attributes import AttributesIn
from documents.values.fields import (
    Address,
    Amount,
    Currency,
    Id,
    Name,
    OptionalAddress,
    RequestModel,
    Text,
    Time,
)


class UserIn(RequestModel):
    name: Name
    email: Address
    attributes: AttributesIn = Field(default_factory=dict)


class Recipient(RequestModel):
    """A user to find by email address, or to create.

    Attributes are added to those of a user who exists. The user's name stays unchanged.
    """

    name: Name
    email: Address
    attributes: AttributesIn = Field(default_factory=dict)


class EmailIn(RequestModel):
    fundraiser_id: Id
    mailing_id: Id | None = None
    user_id: Id | None = None
    user: Recipient | None = None
    sent_at: Annotated[
        Time | None,
        Field(
            description="Defaults to the sending time of the mailing, or to the current time. Null "
            "means not sent yet; SendGrid's `processed` event then sets the time."
        ),
    ] = None
    arm: Annotated[
        Name | None,
        Field(
            description="Arm of the mailing's experiment. By default, Matchback assigns one of its "
            "arms at random, by their weights."
        ),
    ] = None

    @model_validator(mode="after")
    def _one_recipient(self) -> "EmailIn":
        if (self.user_id is None) == (self.user is None):
            raise PydanticCustomError("recipient", "Set either user_id or user.")
        return self


class Giver(RequestModel):
    name: Name
    email: OptionalAddress = None


class DonationIn(RequestModel):
    fundraiser_id: Id
    amount: Amount
    currency: Currency
    donor: Annotated[
        Giver | None,
        Field(
            description="The donor. Omit the donor or the `email` for cash and cheques. Each such "
            "donation then counts as a donor of its own."
        ),
    ] = None
    email_id: Annotated[
        str | None,
        Field(
            description="A link_token or an email ID from the giving link. "
            "Blank, forged or invalid values are accepted."
        ),
    ] = None
    status: Literal["pending", "succeeded", "failed"] = "succeeded"
    external_id: Annotated[
        Text | None,
        Field(
            min_length=1,
            description="Your unique ID for this donation. Repeating it returns the same donation.",
        ),
    ] = None
    recurring_id: Annotated[
        Text | None,
        Field(
            min_length=1, description="Your ID of a recurring plan, the same for all instalments."
        ),
    ] = None
    donated_at: Annotated[
        Time | None, Field(description="Time of the donation. Defaults to the current time.")
    ] = None


class EmailLineIn(EmailIn):
    fundraiser_id: Id | None = None  # type: ignore[assignment]  # the mailing implies it


class DonationLineIn(DonationIn):
    fundraiser_id: Id | None = None  # type: ignore[assignment]  # the mailing implies it
    mailing_id: Id | None = None
