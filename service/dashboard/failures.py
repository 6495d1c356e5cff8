"""Errors of the dashboard, as pages; service/problems.py decides which they are."""

from http import HTTPStatus
from typing import Any

import falcon

from service.dashboard.render import render

SAID = {
    404: "There is nothing here, or it is not your organization's.",
    405: "This page has nothing to send.",
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
    render(
        req,
        resp,
        "failure.html",
        status,
        title=HTTPStatus(status).phrase,
        detail=SAID.get(status, detail),
        errors=errors,
        status_code=status,
        request_id=req.context.request_id,
    )
