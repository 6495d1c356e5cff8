"""The OpenAPI 3.1 document, generated from the routes and the declarations of operations."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.examples import EXAMPLE_BODIES, EXAMPLE_KEY_BODIES, EXAMPLE_RAW_BODIES
from service.api.fields import ID_SCHEMA, ListQuery
from service.api.openapi_parts import (
    API_DESCRIPTION,
    IDEMPOTENCY_KEY_PARAMETER,
    IF_NONE_MATCH_PARAMETER,
    PROBLEM_SCHEMA,
    SCHEMA_REF_TEMPLATE,
    SECURITY_SCHEMES,
    describe_problem,
    describe_proof,
    describe_response,
)
from service.api.operation import AnswerBody, NoQuery, Operation

Routes = tuple[tuple[str, object, str | None], ...]
HTTP_VERBS = ("get", "post", "put", "patch", "delete")
ACTIONS_BY_VERB = {"post": "create", "put": "set", "patch": "update", "delete": "delete"}


def list_operations(routes: Routes) -> Iterator[tuple[str, str, Operation, object]]:
    """Yield the path, verb, declaration and resource of each operation."""
    for path, resource, suffix in routes:
        for verb in HTTP_VERBS:
            name = f"on_{verb}_{suffix}" if suffix else f"on_{verb}"
            responder = getattr(resource, name, None)
            if responder is not None:
                yield path, verb, responder.operation, resource


@cache
def build_openapi_document(routes: Routes) -> dict[str, Any]:
    """Return the OpenAPI document."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for path, verb, declared, resource in list_operations(routes):
        paths.setdefault(path, {})[verb] = _operation(path, verb, declared, resource, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Matchback",
            "version": version("matchback"),
            "description": API_DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM_SCHEMA},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _schemas(routes: Routes) -> dict[str, Any]:
    models: dict[tuple[type[BaseModel], Any], None] = {}
    for _, _, declared, _ in list_operations(routes):
        if declared.body:
            models[declared.body, "validation"] = None
        if declared.query is not NoQuery:
            models[declared.query, "validation"] = None
        for model in declared.answers.values():
            if isinstance(model, type):
                models[model, "serialization"] = None
    _, definitions = models_json_schema(list(models), ref_template=SCHEMA_REF_TEMPLATE)
    schemas: dict[str, Any] = definitions["$defs"]
    for schema in schemas.values():
        _drop_null_defaults(schema)
    return schemas


def _drop_null_defaults(schema: dict[str, Any]) -> None:
    """Drop null defaults: an omitted field is not null, so it has no default in the document."""
    for field in schema.get("properties", {}).values():
        if field.get("default", "") is None:
            del field["default"]


def _operation(
    path: str, verb: str, declared: Operation, resource: object, schemas: dict[str, Any]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": declared.name or _operation_id(path, verb, declared),
        "summary": declared.summary,
        "tags": [type(resource).__name__],
        "parameters": _parameters(path, verb, declared, schemas),
        "responses": _responses(path, verb, declared),
    }
    if declared.scope:
        result["security"] = [{"key": []}]
        result["description"] = f"Requires the `{declared.scope}` scope."
    if declared.signed_by:
        if declared.headers:
            result["security"] = [{declared.signed_by: []}]
        result["description"] = describe_proof(path)
    if content := _content(path, declared):
        result["requestBody"] = {"required": True, "content": content}
    return result


def _operation_id(path: str, verb: str, declared: Operation) -> str:
    """Return an ID made from the path's nouns: create_user, list_users, get_user."""
    parts = [part for part in path.removeprefix("/v1").split("/") if part and "{" not in part]
    is_list = verb == "get" and issubclass(declared.query, ListQuery)
    is_one = verb == "post" or path.endswith("}") or (len(parts) > 1 and path.count("{"))
    if is_one and not is_list:
        parts[0] = parts[0].removesuffix("s")
    if declared.is_export:
        return f"export_{parts[0]}"
    action = "list" if is_list else ACTIONS_BY_VERB.get(verb, "get")
    return "_".join([action, *parts]).replace("-", "_").replace(".", "_")


def _content(path: str, declared: Operation) -> dict[str, Any]:
    if declared.body:
        name = declared.body.__name__
        schema = {"$ref": SCHEMA_REF_TEMPLATE.format(model=name)}
        example = EXAMPLE_KEY_BODIES.get(path, EXAMPLE_BODIES[name])
        return {"application/json": {"schema": schema, "example": example}}
    if declared.raw:
        return {declared.raw: {"schema": {}, "example": EXAMPLE_RAW_BODIES[path]}}
    return {}


def _parameters(
    path: str, verb: str, declared: Operation, schemas: dict[str, Any]
) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": ID_SCHEMA}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if declared.query is not NoQuery:
        for name, schema in schemas[declared.query.__name__]["properties"].items():
            parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    for name, why in declared.headers.items():
        said = {"name": name, "in": "header", "required": True, "description": why}
        parameters.append(said | {"schema": {"type": "string"}})
    if _is_conditional(verb, declared):
        parameters.append(IF_NONE_MATCH_PARAMETER)
    if _is_idempotent(verb, declared):
        parameters.append(IDEMPOTENCY_KEY_PARAMETER)
    return parameters


def _is_conditional(verb: str, declared: Operation) -> bool:
    is_open = bool(declared.scope or declared.public)
    return verb == "get" and is_open and not declared.is_export


def _is_idempotent(verb: str, declared: Operation) -> bool:
    return verb == "post" and bool(declared.scope) and not declared.streams


def _responses(path: str, verb: str, declared: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    headers = ["ETag"] if _is_conditional(verb, declared) else []
    headers += ["Idempotency-Replayed"] if _is_idempotent(verb, declared) else []
    for status, model in declared.answers.items():
        more = ["Location"] if status == 201 else []
        responses[str(status)] = describe_response(status, _answer(model), *headers, *more)
    if _is_conditional(verb, declared):
        responses["304"] = describe_response(304, None, "ETag")
    for status in sorted({*declared.problems, *_usual_problems(path, verb, declared)}):
        if str(status) not in responses:
            responses[str(status)] = describe_problem(status)
    return responses


def _answer(model: AnswerBody) -> dict[str, Any] | None:
    if model is None:
        return None
    if isinstance(model, str | tuple):
        media_types = (model,) if isinstance(model, str) else model
        return {
            name: {"schema": {"type": "object" if "json" in name else "string"}}
            for name in media_types
        }
    return {
        "application/json": {"schema": {"$ref": SCHEMA_REF_TEMPLATE.format(model=model.__name__)}}
    }


def _usual_problems(path: str, verb: str, declared: Operation) -> set[int]:
    usual = {400, 414, 431}
    if declared.scope:
        usual |= {401, 403, 429, 503} | ({404} if "{" in path else set())
    if declared.public:
        usual.add(429)
    if declared.body:
        usual |= {413, 415, 422}
    if declared.query is not NoQuery:
        usual.add(422)
    if _is_idempotent(verb, declared):
        usual |= {409, 422}
    return usual
