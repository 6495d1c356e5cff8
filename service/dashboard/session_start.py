"""The beginning of a session, in whichever way a person has signed in."""

from collections.abc import Sequence

import falcon
from bson import ObjectId

from documents.access.audit import OpenAct
from documents.access.grants import GrantWay, ProviderProof
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
    secret = StaffSession.begin(staff, way=way, proof=proof, before=kept)
    if before:
        _end_previous(before, kept, secret, staff)
    _store_secret(resp, secret)
    staff.note_sign_in()
    action = f"{req.method} {req.uri_template}"
    OpenAct.begin(staff.organization_id, f"staff:{staff.id}", action).finish(303)
    return secret


def continue_session(
    req: falcon.Request, resp: falcon.Response, staff: Staff, raised: Sequence[ObjectId]
) -> bool:
    """Give this browser a new secret after a change of the password, which voided its session.

    Return False if something else has ended the session meanwhile, such as a logout at the
    provider. Then the browser is signed out.

    Args:
        raised: members whose epochs the password has increased.
    """
    session: StaffSession = req.context.session
    secret = session.begin_again(staff, raised)
    if not session.end_unchanged():
        StaffSession.end_with(secret)
        cookies.delete_cookie(resp, cookies.SESSION_COOKIE)
        return False
    _store_secret(resp, secret)
    return True


def _store_secret(resp: falcon.Response, secret: str) -> None:
    cookies.set_secret_cookie(resp, cookies.SESSION_COOKIE, secret)
    cookies.delete_cookie(resp, cookies.VISITOR_COOKIE)


def _end_previous(before: str, kept: StaffSession | None, secret: str, staff: Staff) -> None:
    """End the previous session. If a logout has changed it meanwhile, drop the grants from it."""
    if kept is None:
        StaffSession.end_with(before)
    elif not kept.end_unchanged():
        StaffSession.keep_own_grant(secret, staff.id)


def _find_session(secret: str, staff: Staff) -> StaffSession | None:
    """Return the browser's session if it is of the same person.

    The new session gets the epoch that this comparison reads. So a sign-out everywhere meanwhile
    ends it, too.
    """
    session = StaffSession.current(secret, is_used=False)
    shown = Staff.signed_in(session)
    if session is None or shown is None or staff.account_id is None:
        return None
    is_same = shown.account_id == staff.account_id and session.person_epoch == staff.person.epoch
    return session if is_same else None
