"""Tokens that bind forms to a browser, and to the organization that the page showed.

A person who switches the organization in one tab may still send a form of another tab. That form
must not act on the organization that the browser shows now.
"""

import falcon
from bson import ObjectId

from documents.access.grants import list_membership_rows
from documents.organization import Organization
from service.dashboard import cookies
from service.dashboard.forms import FORM_TOKEN_FIELD, Form
from service.dashboard.presentation.language import marked

OLD_FORM = marked(
    "This form has expired or was opened in another browser. Load its page again, then send it."
)


def make_organization_token(secret: str, organization_id: ObjectId) -> str:
    """Return the token of this browser's forms on pages that show the organization."""
    return cookies.make_form_token(secret, f" of {organization_id}")


def require_visitor_token(req: falcon.Request, sent: Form) -> None:
    """Check that a page of the dashboard made the form for this browser, before sign-in.

    Raises:
        falcon.HTTPForbidden: another site made the form, or it has expired.
    """
    secret = cookies.read_secret(req, cookies.VISITOR_COOKIE)
    if _is_foreign(req) or not cookies.is_form_token(secret, sent.text(FORM_TOKEN_FIELD)):
        raise falcon.HTTPForbidden(description=OLD_FORM)


def require_token(req: falcon.Request, sent: Form, *, for_account: bool = False) -> None:
    """Check that a page of the dashboard made the form for this browser and organization.

    Args:
        for_account: whether the form acts on the person, so that any of the person's organizations
            will do.

    Raises:
        falcon.HTTPForbidden: another site made the form, or it has expired.
        falcon.HTTPConflict: the page showed another organization of the same person.
    """
    if _is_foreign(req):
        raise falcon.HTTPForbidden(description=OLD_FORM)
    token = sent.text(FORM_TOKEN_FIELD)
    if _fits(req, token, req.context.organization_id):
        return
    other = _find_other_organization(req, token)
    if other is None:
        raise falcon.HTTPForbidden(description=OLD_FORM)
    if not for_account:
        req.context.form_organization = other
        raise falcon.HTTPConflict


def _is_foreign(req: falcon.Request) -> bool:
    # Browsers send where a form comes from. Other clients still need the token.
    return req.get_header("Sec-Fetch-Site") not in (None, "same-origin", "none")


def _fits(req: falcon.Request, token: str, organization_id: ObjectId) -> bool:
    secret = cookies.read_secret(req, cookies.SESSION_COOKIE)
    return cookies.is_form_token(secret, token, f" of {organization_id}")


def _find_other_organization(req: falcon.Request, token: str) -> Organization | None:
    account_id = req.context.staff.account_id
    for row in list_membership_rows(account_id) if account_id else ():
        if req.context.session.knows(row["_id"]) and _fits(req, token, row["organization_id"]):
            found: Organization | None = Organization.objects(id=row["organization_id"]).first()
            return found
    return None
