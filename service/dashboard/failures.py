"""Errors as pages of the dashboard. service/api/problems.py decides their status.

A page shows texts of the dashboard only, because those of the API are English and for programs.
"""

from typing import Any

import falcon

from documents.providers.registry import PROVIDERS
from service.dashboard.presentation.language import Marked, marked
from service.dashboard.render import render_page

PROBLEM_TITLES = {
    400: marked("Invalid request"),
    403: marked("Access denied"),
    404: marked("Page not found"),
    405: marked("Action not available"),
    409: marked("Record changed"),
    413: marked("Form too large"),
    415: marked("Invalid request"),
    422: marked("Check your input"),
    429: marked("Too many requests"),
    503: marked("Temporarily unavailable"),
}
DETAILS = {
    400: marked("The page's address or the form is not valid. Go back, then try again."),
    403: marked("You do not have access. Ask an admin of your organization."),
    404: marked("The page does not exist, or it belongs to another organization."),
    405: marked("This page does not support the action. Go back, then try again."),
    409: marked("The record changed, or it does not allow this action. Load its page again."),
    413: marked("The form is too large. Shorten your input, then try again."),
    415: marked("The form is not readable. Load the page again, then send the form."),
    422: marked("Some values cannot be used:"),
    429: marked("Too many requests arrived in a short time. Wait a minute, then try again."),
    503: marked("The database is temporarily unavailable. Wait a few seconds, then try again."),
}
OTHER_SHOWN = marked("Another organization is shown")
OTHER_SHOWN_DETAIL = marked(
    "The form belongs to another of your organizations. Switch to that organization, load the page "
    "again, then send the form."
)
INTERNAL = marked("Internal error")
INTERNAL_DETAIL = marked(
    "The server could not process the request. Try again. If the error continues, report the "
    "request ID."
)
# By the JSON pointer of the value that the API rejects.
CORRECTIONS = {
    "/name": marked("Enter a name of 1 to 200 characters."),
    "/arms": marked(
        "Enter at least two arms with different names of 1 to 200 characters, and whole weights "
        "from 0 to 1,000,000. At least one weight must be above 0."
    ),
    "/window_days": marked("Enter a whole number of days from 1 to 365."),
    "/scope": marked("Choose which gifts count."),
    "/scopes": marked("Choose the access of the key."),
    **dict.fromkeys(
        [f"/{provider.scheme.field}" for provider in PROVIDERS.values()],
        marked("The key is not valid. Copy it again from your provider."),
    ),
    "/window_seconds": marked("Enter a number of days from 0.001 to 3650."),
    "/prefer": marked("Choose at least one kind of engagement."),
    "/touch": marked("Choose which of several equal emails the rules take."),
    "/other_fundraiser": marked("Choose what happens if a gift names another fundraiser's email."),
    "/current": marked("The current password is incorrect. Enter it again."),
    "/email_id": marked("The email does not exist. Choose another email."),
    "/fundraiser_id": marked("The fundraiser does not exist. Choose another fundraiser."),
    "/url": marked(
        "Enter a URL of at most 2,000 characters that starts with https:// and names a public "
        "host. It has no user name, password, fragment or space."
    ),
    "/events": marked("Choose at least one event."),
    "/description": marked("Enter a description of at most 1,000 characters."),
    "/email": marked("Enter a valid email address."),
    "/role": marked("Choose a role."),
    "/q": marked("Names and addresses are hidden from viewers. Remove the search."),
    "/from": marked(
        "Choose a beginning that is not after the end, and not before the history begins. A period "
        "of days has at most ten years."
    ),
    "/to": marked("Choose an end that is not in the future, and not before the beginning."),
    "/as_of": marked("Choose a time that is not in the future, and not before the history begins."),
    "/attributes": marked(
        "Enter at most 20 attributes with different names of 1 to 40 letters from a to z, digits "
        "and underscores. A value has 1 to 100 characters. Matchback sets mailbox_provider itself."
    ),
    "/issuer": marked(
        "Enter the issuer as the provider names it: a URL that starts with https://, without a "
        "query."
    ),
    "/client_id": marked("Enter the client ID without spaces."),
    "/client_secret": marked("Enter the client secret. A new issuer or client ID needs it, too."),
    "/admission": marked("Choose who may sign in."),
    "/default_role": marked("Choose a role for new people."),
    "/group_claim": marked("Enter the name of the claim without spaces, such as groups."),
    "/group_roles": marked(
        "Enter at most 500 groups, each for one role, with at most 300 letters."
    ),
    "/provider_scopes": marked("Enter at most 10 names of scopes, separated by spaces."),
    "/email_domains": marked("Enter at most 50 domains, such as example.edu."),
    "/locale": marked("The language and region are unknown. Choose others."),
}
PASSWORD_CORRECTIONS = {
    "length": marked("Choose a password of 12 to 200 characters."),
    "guessable": marked(
        "The password is easy to guess. Avoid common words, keyboard rows, repetition, and your "
        "name, email or organization. Four random words are a good password."
    ),
}
OTHER_CORRECTION = marked("A value is not valid. Check the form or the page's address.")


class DashboardProblems:
    """Middleware that shows errors below /dashboard as pages."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.path == "/dashboard" or req.path.startswith("/dashboard/"):
            req.context.show_problem = show_problem


def show_problem(
    req: falcon.Request, resp: falcon.Response, status: int, detail: str, more: dict[str, Any]
) -> None:
    """Answer with a page for the error."""
    req.context.staff = None  # an error must not need the database
    own = detail if isinstance(detail, Marked) else None
    other = getattr(req.context, "form_organization", None)
    corrections = dict.fromkeys(_correction(error) for error in more.get("errors", []))
    render_page(
        req,
        resp,
        "failure.html",
        status,
        title=OTHER_SHOWN if other else PROBLEM_TITLES.get(status, INTERNAL),
        detail=OTHER_SHOWN_DETAIL if other else own or DETAILS.get(status, INTERNAL_DETAIL),
        form_organization=other,
        errors=list(corrections),
        was_sent=req.method == "POST",
        request_id=req.context.request_id,
    )


def _correction(error: dict[str, str]) -> Marked:
    """Return what a person can do about a rejected value."""
    pointer = error["pointer"]
    if pointer == "/password":
        return PASSWORD_CORRECTIONS.get(error["code"], OTHER_CORRECTION)
    first = f"/{pointer.split('/')[1]}" if pointer else ""
    return CORRECTIONS.get(first, OTHER_CORRECTION)
