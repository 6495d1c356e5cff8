"""The reset of a forgotten password: a mail with a link, and the page that the link opens."""

from typing import Annotated

import falcon
from pydantic import Field

from documents.access.audit import OpenAct
from documents.access.password_reset import find_reset_member, reset_password
from documents.errors import Unacceptable
from documents.mail.mail import has_mail_server
from documents.mail.password_mails import put_change_mail, request_password_reset
from documents.values.address import pseudonymize_address
from service.api.fields import RequestModel
from service.api.parsing import read_query
from service.dashboard import cookies
from service.dashboard.failures import OTHER_CORRECTION, PASSWORD_CORRECTIONS
from service.dashboard.forms import Form
from service.dashboard.page import SIGN_IN_PATH, public, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.password_texts import FORGOTTEN_PATH
from service.dashboard.render import render_page
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_password_reset, count_sign_in

VOID_LINK_MESSAGE = marked(
    "This link has expired, was already used, or was replaced by a later one. Ask for a new one."
)


class ForgottenQuery(RequestModel):
    done: Annotated[str, Field(max_length=20)] = ""


class TokenQuery(RequestModel):
    token: Annotated[str, Field(max_length=200)]


class ForgottenPassword:
    """/dashboard/password"""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _show_request(req, resp, is_sent=read_query(req, ForgottenQuery).done == "sent")

    @public
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        email = form.text("email")
        count_password_reset(pseudonymize_address(email), find_client_address(req))
        request_password_reset(email)
        redirect_to(resp, f"{FORGOTTEN_PATH}?done=sent")


class NewPassword:
    """/dashboard/password/new, which a mail links to"""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        token = read_query(req, TokenQuery).token
        count_sign_in(pseudonymize_address(token), find_client_address(req))
        # Programs that preview links in mail and chats must not use it up.
        _show_form(req, resp, token)

    @public
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        token = form.text("token")
        count_sign_in(pseudonymize_address(token), find_client_address(req))
        try:
            changed = reset_password(token, form.raw("password"))
        except Unacceptable as fault:
            problem = PASSWORD_CORRECTIONS.get(fault.code, OTHER_CORRECTION)
            _show_form(req, resp, token, problem=problem, status=422)
            return
        if changed is None:
            _show_request(req, resp, problem=VOID_LINK_MESSAGE, status=422)
            return
        put_change_mail(changed)
        action = f"{req.method} {req.uri_template}"
        OpenAct.begin(changed.organization_id, f"staff:{changed.id}", action).finish(303)
        cookies.delete_cookie(resp, cookies.SESSION_COOKIE)
        redirect_to(resp, f"{SIGN_IN_PATH}?done=password")


def _show_request(
    req: falcon.Request,
    resp: falcon.Response,
    *,
    is_sent: bool = False,
    problem: str = "",
    status: int = 200,
) -> None:
    req.context.form_token = cookies.make_form_token(cookies.ensure_visitor_secret(req, resp))
    shown = {"is_sent": is_sent, "problem": problem, "has_mail_server": has_mail_server()}
    render_page(req, resp, "password_request.html", status, **shown)


def _show_form(
    req: falcon.Request, resp: falcon.Response, token: str, *, problem: str = "", status: int = 200
) -> None:
    member = find_reset_member(token)
    if member is None:
        _show_request(req, resp, problem=VOID_LINK_MESSAGE, status=422)
        return
    req.context.form_token = cookies.make_form_token(cookies.ensure_visitor_secret(req, resp))
    shown = {"token": token, "email": member.person.email, "problem": problem}
    render_page(req, resp, "new_password.html", status, **shown)
