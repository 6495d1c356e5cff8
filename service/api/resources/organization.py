"""The organization of the API key."""

from typing import Annotated

import falcon
from pydantic import MISSING, Field

from documents.organization import Organization
from service.api.fields import Answer, Id, Name, Request, Text, Time
from service.api.operation import answer, operation

TimeZone = Annotated[
    Text,
    Field(description="An IANA name; reports show its days", examples=["America/New_York"]),
]

Locale = Annotated[
    Text,
    Field(
        description="BCP 47 tag for the language and the formats of the dashboard",
        examples=["en-US"],
    ),
]


class OrganizationPatch(Request):
    name: Name | MISSING = MISSING
    time_zone: TimeZone | MISSING = MISSING
    locale: Locale | MISSING = MISSING


class OrganizationOut(Answer):
    id: Id
    name: str
    time_zone: TimeZone
    locale: Locale
    created_at: Time


class OwnOrganization:
    """/v1/organization"""

    @operation("Get the key's organization", scope="read", answers={200: OrganizationOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(resp, OrganizationOut, _own(req))

    @operation(
        "Change the organization's name, time zone or locale",
        scope="admin",
        body=OrganizationPatch,
        answers={200: OrganizationOut},
    )
    def on_patch(self, req: falcon.Request, resp: falcon.Response, body: OrganizationPatch) -> None:
        answer(resp, OrganizationOut, _own(req).amend(body.model_dump(exclude_unset=True)))


def _own(req: falcon.Request) -> Organization:
    return Organization.named(str(req.context.organization_id))
