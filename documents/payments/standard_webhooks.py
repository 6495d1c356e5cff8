"""The plain webhook: the state of one gift, from any payment processor. Pure.

The signature follows Standard Webhooks (https://www.standardwebhooks.com).
docs/how-to/payment-processor.md documents the webhook for its users.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from documents.errors import Unusable
from documents.payments.facts import SUCCEEDED, Fact
from documents.values.json_size import MEMBERS_LIMIT, is_too_large
from documents.values.money import LARGEST_AMOUNT
from documents.values.validators import check_line, clean_address

REASONS_KEPT = 5
POST = "post"


def _with_offset(time: datetime) -> datetime:
    if time.tzinfo is None or not 1900 < time.year < 2200:
        raise PydanticCustomError("time", "Should be an RFC 3339 time with an offset.")
    return time


def _clean(text: str) -> str:
    return check_line(text).encode("utf-8", "replace").decode().strip()


Time = Annotated[datetime, AfterValidator(_with_offset)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_clean)]
Amount = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Giver(_Strict):
    name: Annotated[str, Field(max_length=200), AfterValidator(_clean)] = ""
    email: Annotated[
        str, Field(max_length=1000), AfterValidator(_clean), AfterValidator(clean_address)
    ] = ""


class Gift(_Strict):
    external_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
    fundraiser_id: Text | None = None  # without one a person assigns it
    amount: Annotated[int, Field(ge=1, le=LARGEST_AMOUNT, strict=True)]
    # A code that ISO 4217 does not define makes no gift, but is listed; see payments/gift.py.
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    status: Literal["pending", "succeeded", "failed", "refunded", "disputed"]
    refunded_amount: Amount = 0
    donor: Giver = Giver()
    email_id: Text | None = None
    recurring_id: Text | None = None
    donated_at: Time | None = None

    @model_validator(mode="after")
    def _not_more_back_than_given(self) -> "Gift":
        if self.refunded_amount > self.amount:
            raise PydanticCustomError(
                "too_large", "More cannot be refunded than was given (refunded_amount)."
            )
        return self


class Post(_Strict):
    """What is posted: the whole state of a gift at a time; the latest time wins."""

    type: Text = "donation.updated"
    timestamp: Time
    data: Gift


def read(body: Any) -> tuple[str, dict[str, Fact]]:
    """The gift's external_id, and the fact that the post tells.

    Raises:
        Unusable: it cannot be used; says where and why, and repeats nothing of it.
    """
    if is_too_large(body):
        raise Unusable(f"the body has more than {MEMBERS_LIMIT:,} fields and items")
    try:
        post = Post.model_validate(body)
    except ValidationError as error:
        _raise_bug(error)
        found = error.errors(include_input=False, include_url=False, include_context=False)
        told = [
            f"/{'/'.join(str(part)[:100] for part in one['loc'])[:100]}: {one['msg']}"
            for one in found[:REASONS_KEPT]
        ]
        raise Unusable("; ".join(told)) from None
    return _told(post)


def _raise_bug(error: ValidationError) -> None:
    """Raise what a validator raised that is no verdict on the post: the validators above report
    input by PydanticCustomError alone, but pydantic collects any ValueError."""
    for one in error.errors(include_input=False, include_url=False):
        if one["type"] in ("value_error", "assertion_error"):
            raise one["ctx"]["error"]


def _told(post: Post) -> tuple[str, dict[str, Fact]]:
    gift = post.data
    taken = gift.status in ("refunded", "disputed")
    back = gift.amount if gift.status == "refunded" else gift.refunded_amount
    at = post.timestamp.timestamp()
    return gift.external_id, {
        POST: {
            "at": at,
            "kind": "post",
            "status": SUCCEEDED if taken else gift.status,
            "is_disputed": gift.status == "disputed",
            "amount": gift.amount,
            "currency": gift.currency,
            "refunded": back,
            "fundraiser_id": gift.fundraiser_id or None,
            "email_ref": gift.email_id or None,
            "recurring_id": gift.recurring_id or None,
            "name": gift.donor.name,
            "email": gift.donor.email if "@" in gift.donor.email else "",
            "donated_at": gift.donated_at.timestamp() if gift.donated_at else None,
        }
    }
