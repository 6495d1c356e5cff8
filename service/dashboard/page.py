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

from documents.access.roles import StaffRole
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from documents.storage.tenancy import act_for
from service.api.audited import audit_request
from service.api.operation import NoQuery, Responder
from service.api.parsing import read_query
from service.dashboard import cookies
from service.dashboard.forms import FORM_TOKEN_FIELD, Form, read_form
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of, marked
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request, count_staff_request

HOME_PATH = "/dashboard"
SIGN_IN_PATH = f"{HOME_PATH}/sign-in"
MAX_BACK_LENGTH = 1500
ADMINS_ONLY = marked("Only admins of your organization can open this page. Ask an admin.")
OLD_FORM = marked(
    "This form has expired or was opened in another browser. Load its page again, then send it."
)


def page(
    *, role: StaffRole = "viewer", query: type[BaseModel] = NoQuery
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


def form(*, role: StaffRole = "admin") -> Callable[[Responder], Responder]:
    """Declare a form that a page of the dashboard made for this browser."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with _signed_in(req, role):
                sent = read_form(req)
                require_token(req, sent, cookies.SESSION_COOKIE)
                with audit_request(req, resp, more.get("id"), sent.names):
                    responder(self, req, resp, form=sent, **more)

        vars(checked)["page_role"] = role
        return checked

    return decorate


def upload(*, role: StaffRole = "admin") -> Callable[[Responder], Responder]:
    """Declare a form with a file, which `read_upload` reads after this check of its session."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with _signed_in(req, role), audit_request(req, resp, None, ()):
                responder(self, req, resp, **more)

        vars(checked)["page_role"] = role
        return checked

    return decorate


def public(responder: Responder) -> Responder:
    """Declare a page without sign-in. The rate limit of the client's address applies."""

    @wraps(responder)
    def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        count_anonymous_request(find_client_address(req))
        if req.method == "POST":
            more["form"] = read_form(req)
            require_token(req, more["form"], cookies.VISITOR_COOKIE)
        responder(self, req, resp, **more)

    vars(checked)["page_role"] = None
    return checked


def path_secret(responder: Responder) -> Responder:
    """Declare a page that the secret in its path opens, without sign-in and without form tokens.

    The rate limit of the client's address applies.
    """

    @wraps(responder)
    def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        count_anonymous_request(find_client_address(req))
        responder(self, req, resp, **more)

    vars(checked)["page_role"] = None
    return checked


def redirect_to(resp: falcon.Response, path: str) -> None:
    """Answer a form with a redirect (303), so that reloading the page sends nothing."""
    resp.status = 303
    resp.location = path


def _signed_in(req: falcon.Request, role: StaffRole) -> AbstractContextManager[None]:
    """Put the staff member and the organization into the request's context.

    Raises:
        falcon.HTTPSeeOther: no staff member is signed in. The sign-in page leads back here.
        falcon.HTTPForbidden: a viewer opens a page for admins.
    """
    secret = cookies.read_secret(req, cookies.SESSION_COOKIE)
    is_used = req.get_header("X-Refresh") is None  # live.js sends it
    session = StaffSession.current(secret, is_used=is_used) if secret else None
    staff = Staff.signed_in(session)
    if session is None or staff is None:
        count_anonymous_request(find_client_address(req))
        back = quote(req.relative_uri, safe="") if req.method == "GET" else ""
        back = back if len(back) <= MAX_BACK_LENGTH else ""
        raise falcon.HTTPSeeOther(f"{SIGN_IN_PATH}?back={back}" if back else SIGN_IN_PATH)
    count_staff_request(session.id)
    req.context.staff, req.context.session = staff, session
    req.context.session_id = session.id
    req.context.organization_id = staff.organization_id
    organization = Organization.objects(id=staff.organization_id).first()
    req.context.organization = organization
    if organization:
        req.context.formats = formats_of(language_of(organization.locale), organization.zone)
    req.context.actor = f"staff:{staff.id}"
    req.context.form_token = cookies.make_form_token(secret or "")
    if role == "admin" and not staff.is_admin:
        raise falcon.HTTPForbidden(description=ADMINS_ONLY)
    return act_for(staff.organization_id)


def require_token(req: falcon.Request, sent: Form, cookie: str) -> None:
    """Check that a page of the dashboard made the form for this browser.

    Raises:
        falcon.HTTPForbidden: another site made the form, or it has expired.
    """
    # Browsers send where a form comes from. Other clients still need the token.
    is_foreign = req.get_header("Sec-Fetch-Site") not in (None, "same-origin", "none")
    if is_foreign or not cookies.is_form_token(
        cookies.read_secret(req, cookie), sent.text(FORM_TOKEN_FIELD)
    ):
        raise falcon.HTTPForbidden(description=OLD_FORM)
