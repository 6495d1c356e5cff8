"""The declarations of pages and forms, as operation.py has them for the API.

@page(query=GiftQuery)
def on_get(self, req, resp, query): ...

@form(role="admin")
def on_post(self, req, resp, form, id): ...
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any
from urllib.parse import quote

import falcon
from pydantic import BaseModel

from documents.access.staff import Role, Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from documents.storage.tenancy import acting_for
from service.api.audited import noted
from service.api.operation import NoQuery
from service.api.parsing import read_query
from service.dashboard import cookies
from service.dashboard.forms import TOKEN, Form, read_form
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of, marked
from service.middleware.client_address import client_address
from service.middleware.rate_limit import take_as_staff, take_as_stranger

Responder = Callable[..., None]
HOME = "/dashboard"
SIGN_IN = f"{HOME}/sign-in"
LONGEST_BACK = 1500
ADMINS_ONLY = marked("Only admins of your organization can open this page. Ask an admin.")
OLD_FORM = marked(
    "This form has expired or was opened in another browser. Load its page again, then send it."
)


def page(
    *, role: Role = "viewer", query: type[BaseModel] = NoQuery
) -> Callable[[Responder], Responder]:
    """Declare a page for staff who are signed in."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with _signed_in(req, role):
                if query is not NoQuery:
                    more["query"] = read_query(req, query)
                responder(self, req, resp, **more)

        vars(checked)["page_role"] = role
        return checked

    return decorate


def form(*, role: Role = "admin") -> Callable[[Responder], Responder]:
    """Declare a form that a page of the dashboard made for this browser."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with _signed_in(req, role):
                sent = read_form(req)
                _require_token(req, sent, cookies.SESSION)
                with noted(req, resp, more.get("id"), sent.names):
                    responder(self, req, resp, form=sent, **more)

        vars(checked)["page_role"] = role
        return checked

    return decorate


def public(responder: Responder) -> Responder:
    """Declare a page without sign-in. The rate limit of the client's address applies."""

    @wraps(responder)
    def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        take_as_stranger(client_address(req))
        if req.method == "POST":
            more["form"] = read_form(req)
            _require_token(req, more["form"], cookies.BEFORE)
        responder(self, req, resp, **more)

    vars(checked)["page_role"] = None
    return checked


def go_to(resp: falcon.Response, path: str) -> None:
    """Answer a form with a redirect (303), so that reloading the page sends nothing."""
    resp.status = 303
    resp.location = path


def _signed_in(req: falcon.Request, role: Role) -> AbstractContextManager[None]:
    """Put the staff member and the organization into the request's context.

    Raises:
        falcon.HTTPSeeOther: no staff member is signed in. The sign-in page leads back here.
        falcon.HTTPForbidden: a viewer opens a page for admins.
    """
    secret = cookies.secret_of(req, cookies.SESSION)
    is_used = req.get_header("X-Refresh") is None  # live.js sends it
    session = StaffSession.current(secret, is_used=is_used) if secret else None
    staff = Staff.signed_in(session)
    if session is None or staff is None:
        take_as_stranger(client_address(req))
        back = quote(req.relative_uri, safe="") if req.method == "GET" else ""
        back = back if len(back) <= LONGEST_BACK else ""
        raise falcon.HTTPSeeOther(f"{SIGN_IN}?back={back}" if back else SIGN_IN)
    take_as_staff(session.id)
    req.context.staff, req.context.session = staff, session
    req.context.session_id = session.id
    req.context.organization_id = staff.organization_id
    organization = Organization.objects(id=staff.organization_id).first()
    req.context.organization = organization
    if organization:
        req.context.formats = formats_of(language_of(organization.locale), organization.zone)
    req.context.actor = f"staff:{staff.id}"
    req.context.form_token = cookies.form_token(secret or "")
    if role == "admin" and not staff.is_admin:
        raise falcon.HTTPForbidden(description=ADMINS_ONLY)
    return acting_for(staff.organization_id)


def _require_token(req: falcon.Request, sent: Form, cookie: str) -> None:
    # Browsers send where a form comes from. Other clients still need the token.
    is_foreign = req.get_header("Sec-Fetch-Site") not in (None, "same-origin", "none")
    if is_foreign or not cookies.is_form_token(cookies.secret_of(req, cookie), sent.text(TOKEN)):
        raise falcon.HTTPForbidden(description=OLD_FORM)
