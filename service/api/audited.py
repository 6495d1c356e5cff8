"""The audit of requests by API clients and staff: changes, administration and exports."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import falcon

from documents.access.audit import OpenAct
from service.api.problems import REJECTION_ERRORS


@contextmanager
def audit_request(
    req: falcon.Request, resp: falcon.Response, record: str | None, fields: Iterable[str]
) -> Iterator[None]:
    """Audit the act in the block. A rejected request leaves no entry."""
    act = OpenAct.begin(
        req.context.organization_id,
        req.context.actor,
        f"{req.method} {req.uri_template}",
        record=record,
        fields=sorted(fields),
    )
    try:
        yield
    except REJECTION_ERRORS:
        act.withdraw()
        raise
    named = getattr(req.context, "audited_record", None)  # of a record that the request created
    act.finish(falcon.http_status_to_code(resp.status), named)
