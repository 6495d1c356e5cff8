"""The declaration of an operation, for the checks of requests and for OpenAPI.

@operation("Create a user", scope="write", body=UserIn, answers={201: UserOut})
def on_post(self, req, resp, body): ...
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal

import falcon
import orjson
from mongoengine import Document
from pydantic import BaseModel

from documents.link import Link
from documents.payments.payment import Payment
from documents.storage.pagination import InvalidCursor, RecordPage, list_page
from documents.storage.record import Record
from documents.storage.tenancy import act_for
from service.api.audited import audit_request
from service.api.fields import ListQuery, RequestModel
from service.api.idempotency import handle_idempotency_key
from service.api.parsing import bad_request, read_body, read_query
from service.middleware.api_key import authorize_request
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request

Responder = Callable[..., None]
# The model, or the media types of a body without a model.
AnswerBody = type[BaseModel] | str | tuple[str, ...] | None
ApiKeyScope = Literal["read", "write", "admin"]


class NoQuery(RequestModel):
    """The query of operations without parameters."""


@dataclass(frozen=True)
class Operation:
    """The declaration of a responder, and its decorator. With `scope` None, no key is needed."""

    summary: str
    scope: ApiKeyScope | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] = NoQuery
    answers: Mapping[int, type[BaseModel] | str | tuple[str, ...] | None] = field(
        default_factory=dict
    )
    problems: tuple[int, ...] = ()
    raw: str = ""  # media type of a body that the responder reads itself
    streams: bool = False  # the body has any length; Idempotency-Key is ignored
    is_export: bool = False  # the response has any length and personal data, so it is audited
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # required headers and their descriptions
    signed_by: str = ""  # provider whose signature replaces a key
    ignores_query: bool = False
    public: bool = False  # needs no key; limited per client address
    name: str = ""  # ID in OpenAPI; made from the path by default

    def __call__(self, responder: Responder) -> Responder:
        """Check a request as declared, then call the responder with its body and query."""

        @wraps(responder)
        def checked(
            resource: object, req: falcon.Request, resp: falcon.Response, **params: Any
        ) -> None:
            self._admit(req)
            params |= self._read(req)
            with _as_caller(req):
                if self.streams:
                    responder(resource, req, resp, **params)
                    return
                with handle_idempotency_key(req, resp) as is_new:
                    if is_new:
                        with _noted(self, req, resp, params):
                            responder(resource, req, resp, **params)

        vars(checked)["operation"] = self
        return checked

    def _admit(self, req: falcon.Request) -> None:
        if self.scope:
            authorize_request(req, self.scope)
        if self.public:
            count_anonymous_request(find_client_address(req))

    def _read(self, req: falcon.Request) -> dict[str, BaseModel]:
        read: dict[str, BaseModel] = {}
        # The URL of a webhook may carry a query that the provider or the customer added.
        ignores_query = self.signed_by or self.ignores_query
        query = None if ignores_query else read_query(req, self.query)
        if query is not None and self.query is not NoQuery:
            read["query"] = query
        if self.body:
            read["body"] = read_body(req, self.body)
        return read


operation = Operation


def _noted(
    declared: Operation, req: falcon.Request, resp: falcon.Response, params: dict[str, Any]
) -> AbstractContextManager[None]:
    """Audit updates, deletions, administration and exports. New records document themselves."""
    is_change = req.method != "GET" and (declared.scope == "admin" or req.method != "POST")
    is_export = declared.is_export and not getattr(req.context, "is_head", False)
    if not declared.scope or not (is_change or is_export):
        return nullcontext()
    sent = params.get("query" if is_export else "body")
    return audit_request(req, resp, params.get("id"), sent.model_fields_set if sent else ())


def _as_caller(req: falcon.Request) -> AbstractContextManager[None]:
    organization_id = getattr(req.context, "organization_id", None)
    return nullcontext() if organization_id is None else act_for(organization_id)


def answer_model(
    resp: falcon.Response,
    model: type[BaseModel],
    value: Any,
    status: int = 200,
    volatile: frozenset[str] = frozenset(),
) -> None:
    """Respond with a document in the form of the model.

    Args:
        volatile: fields that do not change the ETag.
    """
    document = model.model_validate(value)
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = document.model_dump_json().encode()
    if volatile:
        resp.context.etag_basis = document.model_dump_json(exclude=set(volatile)).encode()


def answer_created(
    req: falcon.Request, resp: falcon.Response, model: type[BaseModel], record: Record
) -> None:
    """Respond with 201, the record and its location."""
    resp.location = f"{req.path}/{record.id}"
    answer_model(resp, model, record, 201)


def find_page(
    req: falcon.Request,
    document: type[Document],
    query: ListQuery,
    filters: Mapping[str, Any],
    sort: str,
) -> RecordPage:
    """Return one page of the organization's records.

    Raises:
        falcon.HTTPBadRequest: another list made the cursor.
    """
    try:
        return list_page(
            document,
            req.context.organization_id,
            filters=filters,
            sort=sort,
            limit=query.limit,
            cursor=query.cursor,
        )
    except InvalidCursor:
        raise bad_request(
            "Invalid cursor. Use the `next_cursor` of this list, with the same sort order."
        ) from None


def answer_page(
    req: falcon.Request,
    resp: falcon.Response,
    document: type[Record] | type[Link] | type[Payment],
    model: type[BaseModel],
    query: ListQuery,
    *,
    told: Callable[[Any], Any] = lambda record: record,
    **scope: Any,
) -> None:
    """Respond with one page of the organization's records, within the query and the scope.

    Args:
        told: converts a record to the model's input.
    """
    given = query.model_dump(exclude_unset=True, exclude={"limit", "cursor", "sort"})
    order = getattr(query, "sort", "-created_at")
    minus, name = ("-" if order.startswith("-") else ""), order.removeprefix("-")
    sort = minus + ("_id" if name == "created_at" else name)
    found = find_page(req, document, query, document.filters(given) | scope, sort)
    listed = {
        "data": [model.model_validate(told(row)).model_dump(mode="json") for row in found.records],
        "next_cursor": found.next_cursor,
    }
    resp.content_type, resp.data = falcon.MEDIA_JSON, orjson.dumps(listed)
