"""Users: donors and prospects."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, BeforeValidator, Field

from documents.imports.bodies import UserIn
from documents.privacy import erasure
from documents.removal import remove_record
from documents.user import User
from documents.values.attributes import AttributesIn
from service.api.fields import (
    Address,
    Id,
    ListQuery,
    Name,
    RequestModel,
    ResponseModel,
    Time,
    Totals,
)
from service.api.operation import answer_created, answer_model, answer_page, operation

AttributesPatch = Annotated[AttributesIn, Field(description="Replaces all attributes of the user.")]


class UserPatch(RequestModel):
    name: Name | MISSING = MISSING
    email: Address | MISSING = MISSING
    attributes: AttributesPatch | MISSING = MISSING


class UserOut(ResponseModel):
    id: Id
    name: str
    email: str
    attributes: dict[str, str]
    emails_count: int
    donations_count: int
    donated: Totals
    last_donated_at: Time | None
    created_at: Time
    updated_at: Time


class UserList(ResponseModel):
    data: list[UserOut]
    next_cursor: str | None


class UserQuery(ListQuery):
    name: Name | MISSING = MISSING
    email: Address | MISSING = MISSING
    sort: Literal[
        "created_at",
        "-created_at",
        "name",
        "-name",
        "donations_count",
        "-donations_count",
        "emails_count",
        "-emails_count",
        "last_donated_at",
        "-last_donated_at",
    ] = "-created_at"


class EraseQuery(RequestModel):
    erase: Annotated[
        bool,
        BeforeValidator({"true": True, "false": False}.get),
        Field(
            description="Erases the person's name, email address and raw events within seconds, "
            "even if other records depend on them. Amounts and counts stay. You cannot undo this."
        ),
    ] = False


class Users:
    """/v1/users and /v1/users/{id}"""

    @operation("List users", scope="read", query=UserQuery, answers={200: UserList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: UserQuery) -> None:
        answer_page(req, resp, User, UserOut, query)

    @operation("Create a user", scope="write", body=UserIn, answers={201: UserOut}, problems=(409,))
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: UserIn) -> None:
        user = User.create(
            req.context.organization_id,
            body.name,
            body.email,
            req.context.record_id,
            body.attributes,
        )
        answer_created(req, resp, UserOut, user)

    @operation("Get a user", scope="read", answers={200: UserOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, UserOut, User.fetch(req.context.organization_id, id))

    @operation(
        "Update a user", scope="write", body=UserPatch, answers={200: UserOut}, problems=(409,)
    )
    def on_patch_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: UserPatch
    ) -> None:
        user = User.fetch(req.context.organization_id, id)
        answer_model(resp, UserOut, user.amend(body.model_dump(exclude_unset=True)))

    @operation(
        "Delete a user, or erase a person",
        scope="write",
        query=EraseQuery,
        answers={204: None},
        problems=(409,),
    )
    def on_delete_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: EraseQuery
    ) -> None:
        if query.erase:
            erasure.request_erasure(req.context.organization_id, id)
        else:
            remove_record(User.fetch(req.context.organization_id, id))
        resp.status = 204
