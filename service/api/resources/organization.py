"""The organization of the API key."""

from typing import Annotated

import falcon
from pydantic import MISSING, Field

from documents.organization import Organization
from service.api.fields import Id, Name, RequestModel, ResponseModel, Text, Time
from service.api.operation import answer_model, operation

MAX_EMAIL_DOMAINS, MAX_DOMAIN_LENGTH = 50, 253
Domain = Annotated[Text, Field(min_length=3, max_length=MAX_DOMAIN_LENGTH)]

TimeZone = Annotated[
    Text,
    Field(description="IANA time zone for the days in reports.", examples=["America/New_York"]),
]

Locale = Annotated[
    Text,
    Field(
        description="BCP 47 tag for the dashboard's language and formats.",
        examples=["en-US"],
    ),
]


EmailDomains = Annotated[
    list[Domain],
    Field(
        max_length=MAX_EMAIL_DOMAINS,
        description="Domains of the organization's own addresses, with their subdomains. The "
        "segment `mailbox_provider` of emails to these addresses is `own`.",
        examples=[["example.edu"]],
    ),
]


class OrganizationPatch(RequestModel):
    name: Name | MISSING = MISSING
    time_zone: TimeZone | MISSING = MISSING
    locale: Locale | MISSING = MISSING
    email_domains: EmailDomains | MISSING = MISSING


class OrganizationOut(ResponseModel):
    id: Id
    name: str
    time_zone: TimeZone
    locale: Locale
    email_domains: EmailDomains
    created_at: Time


class OwnOrganization:
    """/v1/organization"""

    @operation("Get the organization", scope="read", answers={200: OrganizationOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer_model(resp, OrganizationOut, _own(req))

    @operation(
        "Update the organization",
        scope="admin",
        body=OrganizationPatch,
        answers={200: OrganizationOut},
    )
    def on_patch(self, req: falcon.Request, resp: falcon.Response, body: OrganizationPatch) -> None:
        answer_model(resp, OrganizationOut, _own(req).amend(body.model_dump(exclude_unset=True)))


def _own(req: falcon.Request) -> Organization:
    return Organization.named(str(req.context.organization_id))
