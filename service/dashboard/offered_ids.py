"""Signed IDs in forms, so that a form that is sent twice creates one record."""

import falcon
from bson import ObjectId

from service.api.parsing import bad_request
from service.dashboard import cookies
from service.dashboard.presentation.language import marked

FOREIGN_FORM = marked("This form belongs to another session. Load its page again, then send it.")


def offer_id(req: falcon.Request) -> str:
    """Return a signed ID for a new record."""
    id_ = str(ObjectId())
    secret = cookies.read_secret(req, cookies.SESSION_COOKIE) or ""
    return f"{id_}.{cookies.make_form_token(secret, id_)}"


def read_offered_id(req: falcon.Request, text: str) -> ObjectId:
    """Return the ID that a form of this session offers.

    Raises:
        falcon.HTTPBadRequest: no page of this session made it.
    """
    id_, _, token = text.partition(".")
    if not cookies.is_form_token(cookies.read_secret(req, cookies.SESSION_COOKIE), token, id_):
        raise bad_request(FOREIGN_FORM)
    return ObjectId(id_)
