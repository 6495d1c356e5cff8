"""The plain webhook: the state of one gift, from any payment processor. Pure.

Signatures follow Standard Webhooks (https://www.standardwebhooks.com).
docs/how-to/payment-processor.md documents the webhook for its users.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from documents.errors import Unusable
from documents.payments.facts import SUCCEEDED_STATUS, PaymentFact
from documents.values.json_size import MAX_JSON_MEMBERS, has_too_many_members
from documents.values.money import MAX_AMOUNT
from documents.values.validators import check_line, clean_address

MAX_REPORTED_REASONS = 5
POST_FACT_ID = "post"


def _with_offset(time: datetime) -> datetime:
    if time.tzinfo is None or not 1900 < time.year < 2200:
        raise PydanticCustomError("time", "Must be an RFC 3339 time with an offset.")
    return time


def _clean(text: str) -> str:
    return check_line(text).encode("utf-8", "replace").decode().strip()


PostTime = Annotated[datetime, AfterValidator(_with_offset)]
PostText = Annotated[str, Field(max_length=1000), AfterValidator(_clean)]
PostAmount = Annotated[int, Field(ge=0, le=MAX_AMOUNT, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PostGiver(_Strict):
    name: Annotated[str, Field(max_length=200), AfterValidator(_clean)] = ""
    email: Annotated[
        str, Field(max_length=1000), AfterValidator(_clean), AfterValidator(clean_address)
    ] = ""


class PostGift(_Strict):
    external_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
    fundraiser_id: PostText | None = None  # a person can assign one later
    amount: Annotated[int, Field(ge=1, le=MAX_AMOUNT, strict=True)]
    # A payment with an undefined code makes no gift, but lists show it; see payments/gift.py.
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    status: Literal["pending", "succeeded", "failed", "refunded", "disputed"]
    refunded_amount: PostAmount = 0
    donor: PostGiver = PostGiver()
    email_id: PostText | None = None
    recurring_id: PostText | None = None
    donated_at: PostTime | None = None

    @model_validator(mode="after")
    def _not_more_back_than_given(self) -> "PostGift":
        if self.refunded_amount > self.amount:
            raise PydanticCustomError("too_large", "refunded_amount must be at most the amount.")
        return self


class GiftPost(_Strict):
    """The complete state of a gift at one time. The latest time wins."""

    type: PostText = "donation.updated"
    timestamp: PostTime
    data: PostGift


def read_gift_post(body: Any) -> tuple[str, dict[str, PaymentFact]]:
    """Return the gift's external_id, and the fact in the post.

    Raises:
        Unusable: the post is not valid. The message names fields and reasons, but no values.
    """
    if has_too_many_members(body):
        raise Unusable(f"The body must have at most {MAX_JSON_MEMBERS:,} fields and items.")
    try:
        post = GiftPost.model_validate(body)
    except ValidationError as error:
        _raise_bug(error)
        found = error.errors(include_input=False, include_url=False, include_context=False)
        told = [
            f"/{'/'.join(str(part)[:100] for part in one['loc'])[:100]}: {one['msg']}"
            for one in found[:MAX_REPORTED_REASONS]
        ]
        raise Unusable("; ".join(told)) from None
    return _told(post)


def _raise_bug(error: ValidationError) -> None:
    """Raise the error of a bug in a validator, which is not the sender's error.

    The validators above report bad input only with PydanticCustomError, but pydantic collects
    every ValueError.
    """
    for one in error.errors(include_input=False, include_url=False):
        if one["type"] in ("value_error", "assertion_error"):
            raise one["ctx"]["error"]


def _told(post: GiftPost) -> tuple[str, dict[str, PaymentFact]]:
    gift = post.data
    taken = gift.status in ("refunded", "disputed")
    back = gift.amount if gift.status == "refunded" else gift.refunded_amount
    at = post.timestamp.timestamp()
    return gift.external_id, {
        POST_FACT_ID: {
            "at": at,
            "kind": "post",
            "status": SUCCEEDED_STATUS if taken else gift.status,
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
