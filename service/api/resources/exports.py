"""Exports: all emails or donations of a list in one response."""

import falcon

from documents.donation import Donation
from documents.email import Email
from service.api.exports import EXPORT_MEDIA_TYPES, answer_export
from service.api.operation import operation
from service.api.resources.donations import DonationFilters, DonationOut
from service.api.resources.emails import EmailFilters, EmailOut


class EmailExports:
    """/v1/emails/export: each line is the record as GET /v1/emails/{id} returns it."""

    @operation(
        "Export emails",
        scope="read",
        query=EmailFilters,
        answers={200: EXPORT_MEDIA_TYPES},
        problems=(406,),
        is_export=True,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: EmailFilters) -> None:
        answer_export(req, resp, Email, EmailOut, query, name="emails")


class DonationExports:
    """/v1/donations/export: each line is the record as GET /v1/donations/{id} returns it."""

    @operation(
        "Export donations",
        scope="read",
        query=DonationFilters,
        answers={200: EXPORT_MEDIA_TYPES},
        problems=(406,),
        is_export=True,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: DonationFilters) -> None:
        answer_export(req, resp, Donation, DonationOut, query, name="donations")
