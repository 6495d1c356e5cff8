"""The rendering of templates. Jinja2 escapes everything that a page inserts, by default."""

import hashlib
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import falcon
from jinja2 import Environment, PackageLoader, StrictUndefined

from documents.access.grants import list_membership_rows
from documents.access.staff import Staff
from documents.organization import Organization
from documents.providers.registry import PROVIDERS
from documents.storage.personal_data import is_personal_data_hidden
from service.dashboard.presentation import filters, wording
from service.dashboard.presentation.attempt_labels import error_label
from service.dashboard.presentation.formats import NONE, Formats, formats_of
from service.dashboard.presentation.language import Language, accepted_language
from service.dashboard.route_roles import build_can

ASSETS_FOLDER = resources.files("service.dashboard") / "assets"
ASSET_DIGEST_LENGTH = 10
UTC = ZoneInfo("UTC")
# Styles and scripts are files of this service only. No page has inline ones.
DASHBOARD_CSP = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("style", "script", "img", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def render_page(
    req: falcon.Request, resp: falcon.Response, template: str, status: int = 200, **values: Any
) -> None:
    """Answer with a page."""
    resp.status = status
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", DASHBOARD_CSP)
    made = load_templates().get_template(template)
    resp.data = made.render(**_shared(req), **{"watch": "", **values}).encode()


def formats_for(req: falcon.Request) -> Formats:
    """Return the formats of the organization; without one, those that the browser asks for."""
    known: Formats | None = getattr(req.context, "formats", None)
    return known or formats_of(accepted_language(req.get_header("Accept-Language") or ""), UTC)


def language_for(req: falcon.Request) -> Language:
    """Return the language of the organization; without one, that of the browser."""
    return formats_for(req).language


def _shared(req: falcon.Request) -> dict[str, Any]:
    formats = formats_for(req)
    staff = getattr(req.context, "staff", None)
    return {
        "staff": staff,
        "is_hidden": is_personal_data_hidden(),
        "can": build_can(staff.role if staff else ""),
        "organizations": _list_organizations(req, staff),
        "organization": getattr(req.context, "organization", None),
        "formats": formats,
        "language": formats.language,
        "form_token": getattr(req.context, "form_token", ""),
        "path": req.path,
    }


def _list_organizations(req: falcon.Request, staff: Staff | None) -> list[Organization]:
    """Return the organizations to switch between; none if there is only one."""
    rows = list_membership_rows(staff.account_id) if staff and staff.account_id else []
    ids = [row["organization_id"] for row in rows if req.context.session.knows(row["_id"])]
    if len(ids) < 2:
        return []
    return list(Organization.objects(id__in=ids).order_by("name"))


@cache
def load_templates() -> Environment:
    """Return the templates, with their filters."""
    made = Environment(
        loader=PackageLoader("service.dashboard"),
        autoescape=True,
        auto_reload=False,  # an upgrade must not mix new templates with the code that runs
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(filters.gettext, filters.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= filters.FILTERS
    made.globals |= {
        "asset": build_asset_path,
        "code": filters.code,
        "NONE": NONE,
        "wording": wording,
        "providers": PROVIDERS,
        "error_label": error_label,
    }
    return made


@cache
def build_asset_path(name: str) -> str:
    """Return the path of an asset. It names the content, so browsers can cache it forever."""
    return f"/dashboard/assets/{compute_asset_digest(name)}/{name}"


@cache
def compute_asset_digest(name: str) -> str:
    """Return a hash of an asset's content."""
    return hashlib.sha256((ASSETS_FOLDER / name).read_bytes()).hexdigest()[:ASSET_DIGEST_LENGTH]
