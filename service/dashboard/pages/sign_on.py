"""The URLs of an identity provider: the return of a sign-in, and back-channel logout."""

from datetime import UTC, datetime

import falcon
from bson import ObjectId

from documents.access.grants import ProviderProof
from documents.access.staff_session import StaffSession
from documents.errors import NotFound
from documents.sign_on.admission import admit_person
from documents.sign_on.draft import adopt_draft
from documents.sign_on.ended_sessions import end_signed_on_sessions
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_acts import note_admission, note_adoption, note_ended_sessions
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.sealed import seal_secret
from documents.values.time import now
from service.dashboard import cookies
from service.dashboard.forms import read_form
from service.dashboard.page import HOME_PATH, path_secret, redirect_to
from service.dashboard.pages.providers import require_master_key
from service.dashboard.provider_sign_in import (
    DASHBOARD_PATH_PATTERN,
    RETRY_REASONS,
    show_rejection,
)
from service.dashboard.session_start import begin_session
from service.sign_on.back_channel import LogoutNotice, accept_logout_token
from service.sign_on.finish import SignedOn, SignInAnswer, finish_sign_in
from service.sign_on.provider_sign_out import MAX_HINT_LENGTH


class SignOnReturn:
    """/dashboard/sign-in/sso/{organization_id}: the redirect URI of an organization"""

    @path_secret
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        owner = _read_id(organization_id)
        try:
            with require_master_key():
                signed_on = finish_sign_in(owner, _read_browser(req), _read_answer(req))
            admission = admit_person(signed_on.provider, signed_on.person, signed_on.choose_role)
            provider = _adopt_tried(signed_on)
        except SignOnRejected as rejected:
            show_rejection(req, resp, owner, rejected.reason)
            return
        note_admission(owner, admission)
        secret = begin_session(
            req, resp, admission.staff, "single sign-on", _build_proof(signed_on, provider)
        )
        if not signed_on.is_provider_current():
            StaffSession.end_with(secret)
            show_rejection(req, resp, owner, "provider_changed")
            return
        back = signed_on.back
        redirect_to(resp, back if DASHBOARD_PATH_PATTERN.fullmatch(back) else HOME_PATH)


class BackChannelLogout:
    """/dashboard/sign-out/back-channel/{organization_id}"""

    @path_secret
    def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        token = read_form(req).text("logout_token")
        try:
            accept_logout_token(_read_id(organization_id), token, _end_sessions)
        except SignOnRejected as rejected:
            # The provider repeats its request after 503.
            resp.status = 503 if rejected.reason in RETRY_REASONS else 400
            resp.media = {"error": "invalid_request", "error_description": rejected.reason}
            return
        resp.status = 200


def _end_sessions(notice: LogoutNotice) -> None:
    ended = end_signed_on_sessions(
        notice.organization_id,
        notice.issuer,
        subject=notice.subject,
        session_id=notice.session_id,
        until=notice.issued_at,
    )
    note_ended_sessions(notice.organization_id, ended)


def _read_id(organization_id: str) -> ObjectId:
    if not ObjectId.is_valid(organization_id):
        raise NotFound
    return ObjectId(organization_id)


def _read_browser(req: falcon.Request) -> str:
    # Without the cookie, no stored sign-in fits.
    return cookies.read_secret(req, cookies.VISITOR_COOKIE) or ""


def _read_answer(req: falcon.Request) -> SignInAnswer:
    """Return the query. A repeated parameter counts as missing (RFC 6749, section 3.1)."""
    given = {name: value for name, value in req.params.items() if isinstance(value, str)}
    return SignInAnswer(
        state=given.get("state", ""),
        code=given.get("code"),
        issuer=given.get("iss"),
        error=given.get("error"),
    )


def _adopt_tried(signed_on: SignedOn) -> SignOnProvider:
    """Let settings take effect that the sign-in has tried. Return the provider that it proves."""
    if signed_on.draft_id is None:
        return signed_on.provider
    adopted = adopt_draft(signed_on.organization_id, signed_on.draft_id)
    note_adoption(signed_on.organization_id)
    return adopted


def _build_proof(signed_on: SignedOn, provider: SignOnProvider) -> ProviderProof:
    hint = signed_on.id_token
    return ProviderProof(
        organization_id=signed_on.organization_id,
        identity=signed_on.person.identity,
        session_id=signed_on.session_id,
        at=now(),
        # The settings may have changed while the person was at the provider.
        settings_at=signed_on.settings_at or provider.settings_at,
        issued_at=datetime.fromtimestamp(signed_on.claims["iat"], UTC),
        id_token=seal_secret(hint) if len(hint) <= MAX_HINT_LENGTH else None,
    )
