"""The declarations of pages and forms, as operation.py has them for the API.

@page(query=GiftQuery)
def on_get(self, req, resp, query): ...

@form()
def on_post(self, req, resp, form, id): ...

The table in route_roles.py has the role of each route.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import falcon
from pydantic import BaseModel

from service.api.audited import audit_request
from service.api.operation import NoQuery, Responder
from service.api.parsing import read_query
from service.dashboard.form_tokens import require_token, require_visitor_token
from service.dashboard.forms import read_form
from service.dashboard.signed_in import SIGN_IN_PATH, enter_session
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request

__all__ = ["HOME_PATH", "SIGN_IN_PATH", "form", "page", "path_secret", "public", "redirect_to"]

HOME_PATH = "/dashboard"


def page(*, query: type[BaseModel] = NoQuery) -> Callable[[Responder], Responder]:
    """Declare a page for staff who are signed in."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with enter_session(req):
                if query is not NoQuery:
                    more["query"] = read_query(req, query)
                responder(self, req, resp, **more)

        vars(checked)["needs_session"] = True
        return checked

    return decorate


def form(*, for_account: bool = False) -> Callable[[Responder], Responder]:
    """Declare a form that a page of the dashboard made for this browser.

    Args:
        for_account: whether the form acts on the person, and so for all of their organizations.
    """

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with enter_session(req):
                sent = read_form(req)
                require_token(req, sent, for_account=for_account)
                with audit_request(req, resp, more.get("id"), sent.names):
                    responder(self, req, resp, form=sent, **more)

        vars(checked)["needs_session"] = True
        return checked

    return decorate


def upload() -> Callable[[Responder], Responder]:
    """Declare a form with a file, which `read_upload` reads after this check of its session."""

    def decorate(responder: Responder) -> Responder:
        @wraps(responder)
        def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
            with enter_session(req), audit_request(req, resp, None, ()):
                responder(self, req, resp, **more)

        vars(checked)["needs_session"] = True
        return checked

    return decorate


def public(responder: Responder) -> Responder:
    """Declare a page without sign-in. The rate limit of the client's address applies."""

    @wraps(responder)
    def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        count_anonymous_request(find_client_address(req))
        if req.method == "POST":
            more["form"] = read_form(req)
            require_visitor_token(req, more["form"])
        responder(self, req, resp, **more)

    return checked


def path_secret(responder: Responder) -> Responder:
    """Declare a page that the secret in its path opens, without sign-in and without form tokens.

    The rate limit of the client's address applies.
    """

    @wraps(responder)
    def checked(self: object, req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        count_anonymous_request(find_client_address(req))
        responder(self, req, resp, **more)

    return checked


def redirect_to(resp: falcon.Response, path: str) -> None:
    """Answer a form with a redirect (303), so that reloading the page sends nothing."""
    resp.status = 303
    resp.location = path
