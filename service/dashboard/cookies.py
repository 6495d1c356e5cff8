"""Cookies: the session's secret, or before sign-in the secret that forms are bound to.

A form carries a token made from its browser's secret (OWASP's CSRF Prevention cheat sheet, HMAC
based token). Another site can send a form, but does not know a token.
"""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon

from config.settings import get_settings

FORM_TOKEN_PURPOSE = b"matchback form"
SESSION_COOKIE, VISITOR_COOKIE = "matchback-session", "matchback-visitor"
COOKIE_LIFETIME = timedelta(days=7)
COOKIE_SECRET_BYTES = 32
COOKIE_SECRET_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")  # as token_urlsafe makes them
COOKIE_EXPIRED_AT = datetime(2000, 1, 1, tzinfo=UTC)


def read_secret(req: falcon.Request, name: str) -> str | None:
    """Return the secret in a cookie; None if there are several under its name.

    Read here, because the standard library's time to take quotes off a cookie grows with the square
    of its length. A secret has no quotes.
    """
    pairs = (part.strip().partition("=") for part in (req.get_header("Cookie") or "").split(";"))
    found = [value.strip() for key, _, value in pairs if key.strip() == _full(name)]
    return found[0] if len(found) == 1 and COOKIE_SECRET_PATTERN.fullmatch(found[0]) else None


def set_secret_cookie(resp: falcon.Response, name: str, secret: str) -> None:
    """Store a secret in the browser. No script can read it, and no other site's form sends it."""
    resp.set_cookie(_full(name), secret, max_age=int(COOKIE_LIFETIME.total_seconds()), **_kind())


def delete_cookie(resp: falcon.Response, name: str) -> None:
    """Delete a secret from the browser."""
    # Falcon omits a max_age of 0.
    resp.set_cookie(_full(name), "", expires=COOKIE_EXPIRED_AT, **_kind())


def ensure_visitor_secret(req: falcon.Request, resp: falcon.Response) -> str:
    """Return the secret of a browser that has not signed in. Make one if it has none."""
    known = read_secret(req, VISITOR_COOKIE)
    if known is None:
        known = secrets.token_urlsafe(COOKIE_SECRET_BYTES)
        set_secret_cookie(resp, VISITOR_COOKIE, known)
    return known


def make_form_token(secret: str, about: str = "") -> str:
    """Return the token of this browser's forms, or the signature of a value in them."""
    return hmac.new(
        secret.encode(), FORM_TOKEN_PURPOSE + about.encode(), hashlib.sha256
    ).hexdigest()


def is_form_token(secret: str | None, token: str, about: str = "") -> bool:
    """Return whether the form, or the value, was made for this browser."""
    return secret is not None and hmac.compare_digest(
        make_form_token(secret, about).encode(), token.encode("utf-8", "replace")
    )


def _full(name: str) -> str:
    # With the prefix, browsers accept the cookie over TLS only, and from this host only.
    return f"__Host-{name}" if _is_secure() else name


def _kind() -> dict[str, Any]:
    return {"secure": _is_secure(), "http_only": True, "same_site": "Lax", "path": "/"}


def _is_secure() -> bool:
    return get_settings().url.startswith("https://")
