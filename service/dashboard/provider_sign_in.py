"""The way from the sign-in page to an organization's provider, and the pages on it."""

import re
from urllib.parse import urlsplit

import falcon
from bson import ObjectId

from documents.sign_on.rejections import SignOnReason, SignOnRejected
from documents.sign_on.sign_on_acts import note_rejection
from documents.sign_on.sign_on_provider import SignOnProvider
from service.dashboard import cookies
from service.dashboard.presentation.sign_on_texts import explain_rejection
from service.dashboard.render import render_page
from service.sign_on.begin import begin_sign_in

# A dashboard path that no browser reads as another host.
DASHBOARD_PATH_PATTERN = re.compile(
    r"/dashboard(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*(\?[A-Za-z0-9=&_.%+-]*)?", re.ASCII
)
RETRY_REASONS: tuple[SignOnReason, ...] = ("provider_unavailable", "provider_busy")


def lead_to_provider(
    req: falcon.Request,
    resp: falcon.Response,
    provider: SignOnProvider,
    back: str,
    email: str,
    *,
    is_trial: bool = False,
) -> None:
    """Begin a sign-in, and send the browser to the provider.

    Args:
        is_trial: whether to try the settings that wait.
    """
    browser = cookies.ensure_visitor_secret(req, resp)
    wanted = back if DASHBOARD_PATH_PATTERN.fullmatch(back) else ""
    try:
        url = begin_sign_in(provider, browser, wanted, email, is_trial=is_trial)
    except SignOnRejected as rejected:
        show_rejection(req, resp, provider.organization_id, rejected.reason)
        return
    leave(req, resp, url)


def leave(req: falcon.Request, resp: falcon.Response, url: str, *, is_end: bool = False) -> None:
    """Send the browser to a provider by a page, after a form.

    The policy `form-action 'self'` forbids to redirect there. Browsers apply it to the redirects
    that follow a form, too.
    """
    req.context.staff = None  # no session is needed, or it has ended
    render_page(req, resp, "leave.html", url=url, host=urlsplit(url).netloc, is_end=is_end)


def show_rejection(
    req: falcon.Request, resp: falcon.Response, organization_id: ObjectId, reason: SignOnReason
) -> None:
    """Answer with a page that explains a rejected sign-in, and record it for the admin."""
    status = 503 if reason in RETRY_REASONS else 403
    note_rejection(organization_id, reason, req.context.request_id, status)
    req.context.staff = None
    render_page(
        req,
        resp,
        "sign_on_rejected.html",
        status,
        detail=explain_rejection(reason),
        organization_id=organization_id,
        reason=reason,
        request_id=req.context.request_id,
    )
