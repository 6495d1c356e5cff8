"""Noting what API clients do, for the audit: whatever changes, removes or administers."""

from collections.abc import Iterator
from contextlib import contextmanager

import falcon
from pydantic import BaseModel

from documents.audit import OpenAct
from service.problems import REFUSED


@contextmanager
def noted(
    req: falcon.Request, resp: falcon.Response, record: str | None, body: BaseModel | None
) -> Iterator[None]:
    """Note the act that is done within, on a record; one that is refused is none."""
    act = OpenAct.begin(
        req.context.organization_id,
        f"key:{req.context.key_id}",
        f"{req.method} {req.uri_template}",
        record=record,
        fields=sorted(body.model_fields_set) if body else [],
    )
    try:
        yield
    except REFUSED:
        act.take_back()
        raise
    act.finish(falcon.http_status_to_code(resp.status))
