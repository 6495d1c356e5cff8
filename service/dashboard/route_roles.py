"""The role that each route of the dashboard requires.

The decorators in page.py and `can` in the templates read this table. Editors change gifts, import
records, and export lists of them. Admins also manage settings, people, keys, providers and
endpoints.
"""

from collections.abc import Callable

from documents.access.roles import StaffRole, includes_role

ENDPOINT = "/dashboard/settings/webhook-endpoints"
SIGN_ON_ACTIONS = ("rules", "check", "required", "trial", "remove")
PUBLIC_ROUTES = (
    "GET /",
    "GET /dashboard/assets/{version}/{name}",
    "GET /dashboard/sign-in",
    "POST /dashboard/sign-in",
    "GET /dashboard/sign-in/link",
    "POST /dashboard/sign-in/link",
    "GET /dashboard/sign-in/sso/{organization_id}",
    "POST /dashboard/sign-out/back-channel/{organization_id}",
    "GET /dashboard/password",
    "POST /dashboard/password",
    "GET /dashboard/password/new",
    "POST /dashboard/password/new",
    "GET /dashboard/digests/unsubscribe/{token}",
    "POST /dashboard/digests/unsubscribe/{token}",
)
VIEWER_ROUTES = (
    "GET /dashboard",
    "GET /dashboard/fundraisers.csv",
    "GET /dashboard/fundraisers/{id}",
    "GET /dashboard/fundraisers/{id}/changes",
    "GET /dashboard/fundraisers/{id}/{table}.csv",
    "POST /dashboard/fundraisers/{id}/digest",
    "GET /dashboard/mailings/{id}",
    "GET /dashboard/mailings/{id}/experiment",
    "GET /dashboard/mailings/{id}/{table}.csv",
    "GET /dashboard/people/{id}",
    "GET /dashboard/gifts",
    "GET /dashboard/gifts/{id}",
    "GET /dashboard/payments",
    "GET /dashboard/health",
    "GET /dashboard/live",
    "GET /dashboard/account",
    "POST /dashboard/account",
    "POST /dashboard/organization",
    "POST /dashboard/sign-out",
)
EDITOR_ROUTES = (
    "POST /dashboard/gifts/{id}/pin",
    "POST /dashboard/gifts/{id}/unpin",
    "POST /dashboard/payments/{id}/fundraiser",
    "POST /dashboard/mailings/{id}/experiment",
    "POST /dashboard/people/{id}",
    *(
        f"GET /dashboard/{path}.{extension}"
        for path in (
            "gifts",
            "fundraisers/{id}/gifts",
            "fundraisers/{id}/changes",
            "mailings/{id}/recipients",
            "people/{id}/gifts",
        )
        for extension in ("csv", "xlsx")
    ),
    "GET /dashboard/imports",
    "POST /dashboard/imports",
    "GET /dashboard/imports/{id}",
    "POST /dashboard/imports/{id}/choices",
    "POST /dashboard/imports/{id}/start",
    "POST /dashboard/imports/{id}/cancel",
    "GET /dashboard/imports/{id}/rejected.csv",
)
ADMIN_ROUTES = (
    "POST /dashboard/jobs/{id}/retry",
    "GET /dashboard/settings",
    "GET /dashboard/settings/providers/{name}",
    "POST /dashboard/settings/providers/{name}/test",
    f"GET {ENDPOINT}",
    f"POST {ENDPOINT}",
    f"GET {ENDPOINT}/{{id}}",
    f"POST {ENDPOINT}/{{id}}",
    *(
        f"POST {ENDPOINT}/{{id}}/{action}"
        for action in ("enable", "disable", "secret", "delete", "test", "resend")
    ),
    f"GET {ENDPOINT}/{{id}}/deliveries/{{delivery_id}}",
    f"POST {ENDPOINT}/{{id}}/deliveries/{{delivery_id}}/resend",
    "GET /dashboard/settings/staff",
    "POST /dashboard/settings/staff",
    *(
        f"POST /dashboard/settings/staff/{{id}}/{action}"
        for action in ("role", "link", "end", "remove")
    ),
    "GET /dashboard/settings/sign-on",
    "POST /dashboard/settings/sign-on",
    *(f"POST /dashboard/settings/sign-on/{action}" for action in SIGN_ON_ACTIONS),
    "POST /dashboard/api-keys",
    "POST /dashboard/api-keys/{id}/revoke",
    "POST /dashboard/webhook-keys",
    "POST /dashboard/match-policy",
    "POST /dashboard/email-domains",
    "POST /dashboard/locale",
    "POST /dashboard/privacy",
)
ROUTE_ROLES: dict[str, StaffRole] = {
    **dict.fromkeys(VIEWER_ROUTES, "viewer"),
    **dict.fromkeys(EDITOR_ROUTES, "editor"),
    **dict.fromkeys(ADMIN_ROUTES, "admin"),
}


def find_required_role(method: str, path: str) -> StaffRole:
    """Return the role for a route. A route that the table lacks is for admins."""
    return ROUTE_ROLES.get(f"{method} {path}", "admin")


def build_can(role: str) -> Callable[[str], bool]:
    """Return the function `can` of templates: whether a role may use a route.

    The function takes a route as in the table, such as "GET /dashboard/settings".
    """
    return lambda route: includes_role(role, ROUTE_ROLES[route])
