"""Emails: one message to one user."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, BeforeValidator, Field

from documents.email import Email
from documents.email_recording import record_email
from documents.imports.bodies import EmailIn
from documents.removal import remove_record
from service.api.fields import (
    FilterQuery,
    Id,
    ListQuery,
    Name,
    ResponseModel,
    Time,
    Totals,
)
from service.api.operation import answer_created, answer_model, answer_page, operation


class EmailOut(ResponseModel):
    id: Id
    link_token: Annotated[
        str, Field(description="Unguessable token that identifies the email in a giving link.")
    ]
    trap_token: Annotated[
        str,
        Field(
            description="Unguessable token for a link in the email that people cannot see. "
            "Clicks on a link with this token are a machine's."
        ),
    ]
    fundraiser_id: Id
    mailing_id: Id | None
    user_id: Id
    attributes: Annotated[
        dict[str, str],
        BeforeValidator(lambda found: found or {}),
        Field(description="The user's attributes when the email was recorded."),
    ]
    sent_at: Time | None
    arm: Annotated[
        str | None,
        Field(description="Arm of the mailing's experiment; null without an experiment."),
    ]
    held_out: Annotated[
        bool,
        Field(
            validation_alias="is_held_out",
            description="True if the experiment leaves the user out. Do not send such an email.",
        ),
    ]
    opens: int
    clicks: int
    machine_opens: int
    machine_clicks: int
    unknown_events: int
    first_opened_at: Time | None
    last_opened_at: Time | None
    first_clicked_at: Time | None
    last_clicked_at: Time | None
    deferred_at: Time | None
    delivered_at: Time | None
    bounced_at: Time | None
    blocked_at: Time | None
    dropped_at: Time | None
    unsubscribed_at: Time | None
    resubscribed_at: Time | None
    spam_reported_at: Time | None
    donated: bool
    donations_count: int
    raised: Totals
    created_at: Time
    updated_at: Time


class EmailList(ResponseModel):
    data: list[EmailOut]
    next_cursor: str | None


class EmailFilters(FilterQuery):
    fundraiser_id: Id | MISSING = MISSING
    mailing_id: Id | MISSING = MISSING
    user_id: Id | MISSING = MISSING
    donated: bool | MISSING = MISSING
    held_out: Annotated[
        bool | MISSING, Field(description="True if the email must not be sent.")
    ] = MISSING
    arm: Annotated[
        Name | MISSING,
        Field(
            description="Arm of the mailing's experiment. Requires `mailing_id`, and the order by "
            "`created_at`. Any page can be short or empty, so continue until `next_cursor` is null."
        ),
    ] = MISSING


class EmailQuery(EmailFilters, ListQuery):
    sort: Literal["created_at", "-created_at", "donations_count", "-donations_count"] = (
        "-created_at"
    )


class Emails:
    """/v1/emails and /v1/emails/{id}"""

    @operation("List emails", scope="read", query=EmailQuery, answers={200: EmailList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: EmailQuery) -> None:
        answer_page(req, resp, Email, EmailOut, query)

    @operation(
        "Create an email", scope="write", body=EmailIn, answers={201: EmailOut}, problems=(409,)
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: EmailIn) -> None:
        email = record_email(
            req.context.organization_id,
            body.model_dump(exclude_unset=True),
            req.context.record_id,
        )
        answer_created(req, resp, EmailOut, email)

    @operation("Get an email", scope="read", answers={200: EmailOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, EmailOut, Email.fetch(req.context.organization_id, id))

    @operation("Delete an email", scope="write", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_record(Email.fetch(req.context.organization_id, id))
        resp.status = 204
