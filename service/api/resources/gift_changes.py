"""Changes of a fundraiser's gifts between two times."""

from typing import Annotated, Any

import falcon
from pydantic import MISSING, ConfigDict, Field

from documents.fundraiser import Fundraiser
from documents.history.gift_change import SettledChanges
from documents.history.gift_rules import GiftChangeKind
from documents.matching.rules import MatchKind
from documents.reports.explained import (
    build_change_query,
    check_listed_times,
    explain_difference,
)
from documents.values.time import now
from service.api.fields import Id, ListQuery, ResponseModel, Time
from service.api.operation import answer_model, find_page, operation
from service.api.resources.reports import Amounts


class GiftChangeQuery(ListQuery):
    since: Annotated[Time, Field(alias="from", description="Changes after this time.")]
    until: Annotated[
        Time | MISSING, Field(alias="to", description="Last time; by default, the current time.")
    ] = MISSING


class CountedGiftOut(ResponseModel):
    """The part of a gift that the report includes. `amount` is net of refunds."""

    match: MatchKind | None
    email_id: Id | None = None
    mailing_id: Id | None = None
    amount: int


class GiftChangeOut(ResponseModel):
    id: Id
    donation_id: Id
    mailing_id: Id | None
    at: Time
    kinds: Annotated[
        list[GiftChangeKind],
        Field(description="Kinds of the change. The first one explains the difference."),
    ]
    currency: str
    before: Annotated[
        CountedGiftOut | None, Field(description="Null if the donation did not count before.")
    ]
    after: Annotated[
        CountedGiftOut | None, Field(description="Null if the donation does not count any more.")
    ]
    difference: Annotated[int, Field(description="Minor units added to the amount raised.")]
    refunded: Annotated[int, Field(description="Minor units added to the refunded amount.")]


class GiftTotals(ResponseModel):
    count: int
    raised: Amounts


class KindTotals(GiftTotals):
    changes: Annotated[int, Field(description="Number of changes.")]


class KindsTotals(ResponseModel):
    """The sums of each kind of change.

    `new`: a donation counts for the first time. `deleted`: it was deleted. `refunded`: money was
    given back. `status`: its payment failed, was disputed, or succeeded later. `pinned`: staff
    chose its email. `matched_again`: its email changed.
    """

    new: KindTotals
    deleted: KindTotals
    refunded: KindTotals
    status: KindTotals
    pinned: KindTotals
    matched_again: KindTotals


class Explanation(ResponseModel):
    """The report at both times. The difference is the sum of all kinds and of `corrections`.

    `corrections` are repairs of incorrect counters.
    """

    before: GiftTotals
    after: GiftTotals
    by_kind: KindsTotals
    corrections: GiftTotals


class GiftChangeList(ResponseModel):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    since: Annotated[Time, Field(serialization_alias="from")]
    until: Annotated[Time, Field(serialization_alias="to")]
    explanation: Annotated[Explanation | None, Field(description="Null on later pages.")]
    data: list[GiftChangeOut]
    next_cursor: str | None


class GiftChanges:
    """/v1/fundraisers/{id}/changes"""

    @operation(
        "List changes of a fundraiser's donations",
        scope="read",
        query=GiftChangeQuery,
        answers={200: GiftChangeList},
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: GiftChangeQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        until = now() if query.until is MISSING else query.until
        where = build_change_query(fundraiser, query.since, until)
        found = find_page(req, SettledChanges, query, where, "at")
        # Check the times after the page, because retention may have deleted some of its changes.
        explain = explain_difference if query.cursor is None else check_listed_times
        listed: dict[str, Any] = {
            "since": query.since,
            "until": until,
            "explanation": explain(fundraiser, query.since, until),
            "data": found.records,
            "next_cursor": found.next_cursor,
        }
        answer_model(resp, GiftChangeList, listed)
