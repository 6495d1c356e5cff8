"""API keys. Only the response that creates a key contains its secret."""

from typing import Annotated, Literal

import falcon
from pydantic import Field

from documents.access.api_key import ApiKey
from documents.removal import remove_record
from service.api.fields import Id, ListQuery, Name, RequestModel, ResponseModel, Time
from service.api.operation import answer_model, answer_page, operation

Scopes = Annotated[list[Literal["read", "write", "admin"]], Field(min_length=1, max_length=3)]


class ApiKeyIn(RequestModel):
    name: Name
    scopes: Scopes
    expires_at: Time | None = None


class ApiKeyOut(ResponseModel):
    id: Id
    name: str
    scopes: Scopes
    prefix: Annotated[str, Field(description="First characters of the secret.")]
    expires_at: Time | None
    last_used_at: Annotated[Time | None, Field(description="Time of the last use, to the minute.")]
    created_at: Time
    updated_at: Time


class NewApiKey(ApiKeyOut):
    secret: Annotated[str, Field(description="The API key. It is shown only once.")]


class ApiKeyList(ResponseModel):
    data: list[ApiKeyOut]
    next_cursor: str | None


class ApiKeyQuery(ListQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"


class ApiKeys:
    """/v1/api-keys and /v1/api-keys/{id}"""

    @operation("List API keys", scope="admin", query=ApiKeyQuery, answers={200: ApiKeyList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: ApiKeyQuery) -> None:
        answer_page(req, resp, ApiKey, ApiKeyOut, query)

    @operation("Create an API key", scope="admin", body=ApiKeyIn, answers={201: NewApiKey})
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: ApiKeyIn) -> None:
        key, secret = ApiKey.issue(
            req.context.organization_id,
            body.name,
            list(body.scopes),
            body.expires_at,
            req.context.record_id,
        )
        shown = ApiKeyOut.model_validate(key).model_dump() | {"secret": secret}
        resp.location = f"{req.path}/{key.id}"
        answer_model(resp, NewApiKey, shown, 201)

    @operation("Get an API key", scope="admin", answers={200: ApiKeyOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, ApiKeyOut, ApiKey.fetch(req.context.organization_id, id))

    @operation("Revoke an API key", scope="admin", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_record(ApiKey.fetch(req.context.organization_id, id))
        resp.status = 204
