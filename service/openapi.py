"""The OpenAPI 3.1 document, made from the routes and what each operation declares."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import problems
from service.operation import NoQuery, Operation
from service.types import ID_SCHEMA

Routes = tuple[tuple[str, object, str | None], ...]
REF = "#/components/schemas/{model}"
VERBS = ("get", "post", "put", "patch", "delete")
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again answer what the first time answered.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request id"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}


def operations(routes: Routes) -> Iterator[tuple[str, str, Operation, object]]:
    """Every path, verb and what is declared there."""
    for path, resource, suffix in routes:
        for verb in VERBS:
            name = f"on_{verb}_{suffix}" if suffix else f"on_{verb}"
            responder = getattr(resource, name, None)
            if responder is not None:
                yield path, verb, responder.operation, resource


@cache
def document(routes: Routes) -> dict[str, Any]:
    """The whole document."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for path, verb, declared, resource in operations(routes):
        described = _operation(path, declared, resource, schemas)
        if verb == "post" and declared.scope:
            described["parameters"].append(IDEMPOTENCY_KEY)
            described["responses"].setdefault("409", _problem(409))
            described["responses"].setdefault("422", _problem(422))
        paths.setdefault(path, {})[verb] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Matchback",
            "version": version("matchback"),
            "description": "Which email led to which gift.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(routes: Routes) -> dict[str, Any]:
    models: dict[tuple[type[BaseModel], Any], None] = {}
    for _, _, declared, _ in operations(routes):
        if declared.body:
            models[declared.body, "validation"] = None
        if declared.query is not NoQuery:
            models[declared.query, "validation"] = None
        for model in declared.answers.values():
            if isinstance(model, type):
                models[model, "serialization"] = None
    _, definitions = models_json_schema(list(models), ref_template=REF)
    schemas: dict[str, Any] = definitions["$defs"]
    for schema in schemas.values():
        _drop_null_defaults(schema)
    return schemas


def _drop_null_defaults(schema: dict[str, Any]) -> None:
    """Left out is not null: a field that may be left out has no default on the wire."""
    for field in schema.get("properties", {}).values():
        if field.get("default", "") is None:
            del field["default"]


def _operation(
    path: str, declared: Operation, resource: object, schemas: dict[str, Any]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "summary": declared.summary,
        "tags": [type(resource).__name__],
        "parameters": [*_path_parameters(path), *_query_parameters(declared, schemas)],
        "responses": _responses(path, declared),
    }
    if declared.scope:
        result["security"] = [{"key": []}]
        result["description"] = f"Needs the scope `{declared.scope}`."
    result["parameters"] += [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": why,
            "schema": {"type": "string"},
        }
        for name, why in declared.headers.items()
    ]
    content: dict[str, Any] = {declared.raw: {}} if declared.raw else {}
    if declared.body:
        schema = {"$ref": REF.format(model=declared.body.__name__)}
        content = {"application/json": {"schema": schema}}
    if content:
        result["requestBody"] = {"required": True, "content": content}
    return result


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": ID_SCHEMA}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(declared: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if declared.query is NoQuery:
        return []
    properties = schemas[declared.query.__name__]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]


def _responses(path: str, declared: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in declared.answers.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if isinstance(model, str):
            responses[str(status)]["content"] = {model: {}}
        elif model is not None:
            schema = {"$ref": REF.format(model=model.__name__)}
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
    for status in sorted({*declared.problems, *_usual_problems(path, declared)}):
        if str(status) not in responses:
            responses[str(status)] = _problem(status)
    return responses


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": REF.format(model="Problem")}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }


def _usual_problems(path: str, declared: Operation) -> Sequence[int]:
    usual = [400]
    if declared.scope:
        usual += [401, 403, 429, 503]
        if "{" in path:
            usual.append(404)
    if declared.public:
        usual.append(429)
    if declared.body:
        usual += [413, 415, 422]
    if declared.query is not NoQuery:
        usual.append(422)
    return usual
