"""Errors as pages of the dashboard. service/api/problems.py decides their status."""

from http import HTTPStatus
from typing import Any

import falcon

from service.dashboard.render import render_page

PROBLEM_TITLES = {
    400: "That was not understood",
    403: "Not possible",
    404: "Nothing here",
    422: "That cannot be used",
    429: "Too often",
    500: "Our mistake",
    503: "Not available at this moment",
}
PROBLEM_DETAILS = {
    404: "There is nothing here, or it is not your organization's.",
    405: "This page has nothing to send.",
    422: "Something in the form, or in the page's address, is not as it should be:",
}


class DashboardProblems:
    """Middleware: below /dashboard, a problem is a page and not a document."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.path == "/dashboard" or req.path.startswith("/dashboard/"):
            req.context.show_problem = show_problem


def show_problem(
    req: falcon.Request, resp: falcon.Response, status: int, detail: str, more: dict[str, Any]
) -> None:
    """The page. It says nothing that a document would not."""
    req.context.staff = None  # an error must not need the database
    errors = [error["detail"] for error in more.get("errors", [])]
    render_page(
        req,
        resp,
        "failure.html",
        status,
        title=PROBLEM_TITLES.get(status, HTTPStatus(status).phrase),
        detail=PROBLEM_DETAILS.get(status, detail),
        errors=errors,
        was_sent=req.method == "POST",
        request_id=req.context.request_id,
    )
