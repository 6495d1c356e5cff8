"""Sign-in by password, by an organization's provider, or by a link."""

from typing import Annotated

import falcon
from bson import ObjectId
from pydantic import Field

from documents.access.grants import GrantWay, find_password_way, is_accepted
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.organization import Organization
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.values.address import pseudonymize_address
from service.api.fields import RequestModel
from service.api.parsing import read_query
from service.dashboard import cookies
from service.dashboard.forms import Form
from service.dashboard.page import HOME_PATH, SIGN_IN_PATH, public, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.provider_sign_in import DASHBOARD_PATH_PATTERN, lead_to_provider
from service.dashboard.render import render_page
from service.dashboard.session_start import begin_session
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_sign_in, count_sign_on

ORGANIZATION_ID_PATTERN = r"^([0-9a-f]{24})?$"
WRONG_SIGN_IN_MESSAGE = marked("Incorrect email or password. Check both, then try again.")
NO_PROVIDER_MESSAGE = marked(
    "Enter your password. The domain of this address has no single sign-on at Matchback."
)
EXPIRED_LINK_MESSAGE = marked("This link has expired or was already used. Ask for a new one.")


class SignInQuery(RequestModel):
    back: Annotated[str, Field(max_length=2000)] = HOME_PATH
    organization: Annotated[str, Field(pattern=ORGANIZATION_ID_PATTERN)] = ""
    done: Annotated[str, Field(max_length=20)] = ""


class SignInLinkQuery(RequestModel):
    token: Annotated[str, Field(max_length=200)]


class SignIn:
    """/dashboard/sign-in"""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        query = read_query(req, SignInQuery)
        _show(
            req,
            resp,
            query.back,
            organization=query.organization,
            is_changed=query.done == "password",
        )

    @public
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        if form.raw("password"):
            _check_password(req, resp, form)
        else:
            _find_provider(req, resp, form)


def _check_password(req: falcon.Request, resp: falcon.Response, form: Form) -> None:
    email, back, wanted = form.text("email"), form.text("back"), form.text("organization")
    count_sign_in(pseudonymize_address(email), find_client_address(req))
    organization_id = ObjectId(wanted) if ObjectId.is_valid(wanted) else None
    staff = sign_in_by_password(email, form.raw("password"), organization_id)
    if staff is None:
        problem = WRONG_SIGN_IN_MESSAGE
        _show(req, resp, back, email=email, organization=wanted, problem=problem, status=422)
        return
    begin_session(req, resp, staff, find_password_way(staff.person))
    redirect_to(resp, back if DASHBOARD_PATH_PATTERN.fullmatch(back) else HOME_PATH)


def _find_provider(req: falcon.Request, resp: falcon.Response, form: Form) -> None:
    """Lead to the provider of the address's domain, whether or not anyone has the address.

    Without an address, as on the page of an organization, only the limit of the client's address
    applies. Otherwise, one person could use up the limit of all.
    """
    email, back, wanted = form.text("email"), form.text("back"), form.text("organization")
    if email:
        count_sign_on(pseudonymize_address(email), find_client_address(req))
    chosen = SignOnProvider.find_open(wanted)
    providers = [chosen] if chosen else SignOnProvider.list_for_address(email)
    if len(providers) == 1:
        lead_to_provider(req, resp, providers[0], back, email)
    elif providers:
        _offer_organizations(req, resp, providers, back, email)
    else:
        problem = NO_PROVIDER_MESSAGE if email else WRONG_SIGN_IN_MESSAGE
        _show(req, resp, back, email=email, organization=wanted, problem=problem, status=422)


def _offer_organizations(
    req: falcon.Request,
    resp: falcon.Response,
    providers: list[SignOnProvider],
    back: str,
    email: str,
) -> None:
    """Offer the organizations that share the domain."""
    ids = [one.organization_id for one in providers]
    found = list(Organization.objects(id__in=ids).order_by("name"))
    _prepare_form(req, resp)
    render_page(
        req,
        resp,
        "sign_in_choice.html",
        organizations_to_choose=found,
        back=back,
        email=email,
    )


class SignInByLink:
    """/dashboard/sign-in/link: what `matchback staff link` and `matchback up` print."""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        token = read_query(req, SignInLinkQuery).token
        count_sign_in(pseudonymize_address(token), find_client_address(req))
        link = SignInLink.known(token)
        if link is None:
            _show(req, resp, HOME_PATH, problem=EXPIRED_LINK_MESSAGE, status=422)
        elif link.reusable:
            _use(req, resp, token, HOME_PATH)
        else:  # programs that preview links in mail and chats must not use it up
            _offer(req, resp, token)

    @public
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        token = form.text("token")
        count_sign_in(pseudonymize_address(token), find_client_address(req))
        _use(req, resp, token, f"{HOME_PATH}/account")


def _offer(req: falcon.Request, resp: falcon.Response, token: str) -> None:
    _prepare_form(req, resp)
    render_page(req, resp, "sign_in_link.html", token=token)


def _use(req: falcon.Request, resp: falcon.Response, token: str, then: str) -> None:
    link = SignInLink.use(token)
    staff = Staff.signed_in(link)
    if staff is None:
        _show(req, resp, HOME_PATH, problem=EXPIRED_LINK_MESSAGE, status=422)
        return
    way = _find_way(link)
    if _accepts(staff, way):
        begin_session(req, resp, staff, way=way)
    else:  # the provider finds the member by the address
        then = f"{SIGN_IN_PATH}?organization={staff.organization_id}"
    redirect_to(resp, then)


def _find_way(link: SignInLink | None) -> GrantWay:
    if link is not None and link.is_invitation:
        return "invitation"
    return "link elsewhere" if link is not None and link.is_mailed else "link"


def _accepts(staff: Staff, way: GrantWay) -> bool:
    organization = Organization.objects.get(id=staff.organization_id)
    return is_accepted(way, requires_single_sign_on=bool(organization.requires_single_sign_on))


def _show(
    req: falcon.Request,
    resp: falcon.Response,
    back: str,
    *,
    email: str = "",
    organization: str = "",
    problem: str = "",
    is_changed: bool = False,
    status: int = 200,
) -> None:
    """Answer with the sign-in page, of an organization if one is given."""
    is_id = ObjectId.is_valid(organization)
    wanted = Organization.objects(id=organization, deleting_at=None).first() if is_id else None
    _prepare_form(req, resp)
    render_page(
        req,
        resp,
        "sign_in.html",
        status,
        back=back,
        email=email,
        organization_id=organization,
        has_provider=wanted is not None and SignOnProvider.of(wanted.id) is not None,
        is_required=wanted is not None and bool(wanted.requires_single_sign_on),
        problem=problem,
        done=is_changed,
    )


def _prepare_form(req: falcon.Request, resp: falcon.Response) -> None:
    req.context.form_token = cookies.make_form_token(cookies.ensure_visitor_secret(req, resp))
