"""The rendering of templates. Jinja2 escapes everything that a page inserts, by default."""

import hashlib
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import falcon
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup, escape

from documents.organization import Organization
from service.dashboard.presentation import wording

ASSETS_FOLDER = resources.files("service.dashboard") / "assets"
ASSET_DIGEST_LENGTH = 10
# Styles and scripts are files of our own; nothing is inline, nothing comes from elsewhere.
DASHBOARD_CSP = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("style", "script", "img", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
MAX_SHORT_TEXT_LENGTH = 60  # how much of something that somebody has named is shown in a table


def render_page(
    req: falcon.Request, resp: falcon.Response, template: str, status: int = 200, **values: Any
) -> None:
    """Answer with a page."""
    staff = getattr(req.context, "staff", None)
    organization = Organization.objects.get(id=staff.organization_id) if staff else None
    resp.status = status
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", DASHBOARD_CSP)
    resp.data = (
        load_templates()
        .get_template(template)
        .render(
            staff=staff,
            organization=organization,
            zone=organization.zone if organization else ZoneInfo("UTC"),
            form_token=getattr(req.context, "form_token", ""),
            path=req.path,
            **{"watch": "", **values},
        )
        .encode()
    )


@cache
def load_templates() -> Environment:
    """Templates, and how they say things."""
    made = Environment(
        loader=PackageLoader("service.dashboard"),
        autoescape=True,
        auto_reload=False,  # an upgrade must not mix new templates with the code that runs
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": wording.format_number,
        "percent": wording.format_percent,
        "share": wording.format_share,
        "money": wording.format_money,
        "day": wording.format_day,
        "why": wording.explain_decision,
        "when": _when,
        "date": _date,
        "exactly": _exactly,
        "totals": _totals,
        "short": _short,
    }
    made.globals |= {
        "asset": build_asset_path,
        "NONE": wording.NO_VALUE,
        "MATCHES": wording.MATCH_LABELS,
        "STATUSES": wording.STATUS_LABELS,
        "EVENTS": wording.EVENT_LABELS,
        "PROVIDERS": wording.PROVIDER_LABELS,
    }
    return made


@cache
def build_asset_path(name: str) -> str:
    """Where an asset is. Its content is in the name, so that it may be kept for ever."""
    return f"/dashboard/assets/{compute_asset_digest(name)}/{name}"


@cache
def compute_asset_digest(name: str) -> str:
    """Of an asset's content."""
    return hashlib.sha256((ASSETS_FOLDER / name).read_bytes()).hexdigest()[:ASSET_DIGEST_LENGTH]


@pass_context
def _when(context: Any, time: Any) -> Markup | str:
    return _time(time, wording.format_minute(time, context["zone"])) if time else wording.NO_VALUE


@pass_context
def _date(context: Any, time: Any) -> Markup:
    return _time(time, wording.format_date(time, context["zone"]))


@pass_context
def _exactly(context: Any, time: Any) -> Markup:
    return _time(time, wording.format_second(time, context["zone"]))


def _time(time: Any, said: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(wording.format_iso_time(time), said)


def _totals(amounts: Any) -> Markup | str:
    """Each currency on a line of its own."""
    lines = wording.format_totals(amounts)
    joined = Markup("<br>").join(escape(line) for line in lines)
    return Markup('<span class="lines">{}</span>').format(joined) if lines else wording.NO_VALUE


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHORT_TEXT_LENGTH else f"{text[: MAX_SHORT_TEXT_LENGTH - 1]}…"
