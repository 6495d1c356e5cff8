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

ASSETS = resources.files("service.dashboard") / "assets"
DIGEST = 10
# Styles and scripts are files of our own; nothing is inline, nothing comes from elsewhere.
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("style", "script", "img", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
FAR = 60  # how much of something that somebody has named is shown in a table


def render(
    req: falcon.Request, resp: falcon.Response, template: str, status: int = 200, **values: Any
) -> None:
    """Answer with a page."""
    staff = getattr(req.context, "staff", None)
    organization = Organization.objects.get(id=staff.organization_id) if staff else None
    resp.status = status
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", POLICY)
    resp.data = (
        environment()
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
def environment() -> Environment:
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
        "number": wording.number,
        "percent": wording.percent,
        "share": wording.share,
        "money": wording.money,
        "day": wording.day,
        "why": wording.why,
        "when": _when,
        "date": _date,
        "exactly": _exactly,
        "totals": _totals,
        "short": _short,
    }
    made.globals |= {
        "asset": asset,
        "NONE": wording.NONE,
        "MATCHES": wording.MATCHES,
        "STATUSES": wording.STATUSES,
        "EVENTS": wording.EVENTS,
        "PROVIDERS": wording.PROVIDERS,
    }
    return made


@cache
def asset(name: str) -> str:
    """Where an asset is. Its content is in the name, so that it may be kept for ever."""
    return f"/dashboard/assets/{digest(name)}/{name}"


@cache
def digest(name: str) -> str:
    """Of an asset's content."""
    return hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:DIGEST]


@pass_context
def _when(context: Any, time: Any) -> Markup | str:
    return _time(time, wording.moment(time, context["zone"])) if time else wording.NONE


@pass_context
def _date(context: Any, time: Any) -> Markup:
    return _time(time, wording.whole_day(time, context["zone"]))


@pass_context
def _exactly(context: Any, time: Any) -> Markup:
    return _time(time, wording.second(time, context["zone"]))


def _time(time: Any, said: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(wording.iso(time), said)


def _totals(amounts: Any) -> Markup | str:
    """Each currency on a line of its own."""
    lines = wording.totals(amounts)
    joined = Markup("<br>").join(escape(line) for line in lines)
    return Markup('<span class="lines">{}</span>').format(joined) if lines else wording.NONE


def _short(text: str) -> str:
    return text if len(text) <= FAR else f"{text[: FAR - 1]}…"
