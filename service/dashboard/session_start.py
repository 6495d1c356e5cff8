"""The beginning of a session, in whichever way a person has signed in."""

import falcon

from documents.access.audit import OpenAct
from documents.access.grants import LINK_WAYS, GrantWay, ProviderProof
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from service.dashboard import cookies


def begin_session(
    req: falcon.Request,
    resp: falcon.Response,
    staff: Staff,
    way: GrantWay,
    proof: ProviderProof | None = None,
) -> str:
    """Sign this browser in with a new secret, end its previous session, and return the secret.

    If the previous session is the same person's, its grants stay. So a person who switches to an
    organization with its own sign-in does not lose the others.
    """
    before = cookies.read_secret(req, cookies.SESSION_COOKIE)
    kept = _find_session(before, staff) if before else None
    secret = StaffSession.begin(staff, by_link=way in LINK_WAYS, way=way, proof=proof, before=kept)
    if before:
        _end_previous(before, kept, secret, staff)
    cookies.set_secret_cookie(resp, cookies.SESSION_COOKIE, secret)
    cookies.delete_cookie(resp, cookies.VISITOR_COOKIE)
    staff.note_sign_in()
    action = f"{req.method} {req.uri_template}"
    OpenAct.begin(staff.organization_id, f"staff:{staff.id}", action).finish(303)
    return secret


def _end_previous(before: str, kept: StaffSession | None, secret: str, staff: Staff) -> None:
    """End the previous session. If a logout has changed it meanwhile, drop the grants from it."""
    ended = StaffSession.take(before)
    if kept is not None and (ended is None or list(ended.grants) != list(kept.grants)):
        StaffSession.keep_own_grant(secret, staff.id)


def _find_session(secret: str, staff: Staff) -> StaffSession | None:
    """Return the browser's session if it is of the same person."""
    session = StaffSession.current(secret, is_used=False)
    shown = Staff.signed_in(session)
    is_same = shown is not None and shown.account_id == staff.account_id is not None
    return session if is_same else None
