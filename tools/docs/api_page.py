"""docs/reference/api.md, generated from the OpenAPI document of the service."""

import inspect
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from service.api.openapi import build_openapi_document
from service.api.openapi_parts import PROBLEM_DESCRIPTIONS
from service.routes import API_ROUTES

API_PAGE_INTRO = """# API

`make reference` generates this page from the service's OpenAPI document. A running service has the
document at `/openapi.json`, and a readable form at `/docs`. For Python, use
[`matchback.client`](../how-to/python-client.md).

{description}

{key}

| status | problem |
| --- | --- |
{problems}
"""
TYPE_WORDS = {"date-time": "time", "boolean": "true or false"}


def build_page() -> str:
    """Return the page."""
    openapi = build_openapi_document(API_ROUTES)
    parts = openapi["components"]
    text = API_PAGE_INTRO.format(
        description=openapi["info"]["description"],
        key=parts["securitySchemes"]["key"]["description"],
        problems="\n".join(f"| {status} | {why} |" for status, why in PROBLEM_DESCRIPTIONS.items()),
    )
    for title, routes in _by_noun(openapi["paths"]).items():
        text += f"\n## {title}\n"
        for path, verb, declared in routes:
            text += f"\n### `{verb.upper()} {path}`\n\n{_operation(declared)}"
    schemas = (_schema(name, schema) for name, schema in sorted(parts["schemas"].items()))
    return f"{text}\n## Schemas\n{''.join(schemas)}"


def _by_noun(paths: dict[str, Any]) -> dict[str, list[tuple[str, str, Any]]]:
    """Group routes by the first noun of their paths, such as “Match policy”."""
    found: dict[str, list[tuple[str, str, Any]]] = defaultdict(list)
    for path, verbs in paths.items():
        noun = path.split("/")[2] if path.startswith("/v1/") else "the service itself"
        title = noun.replace("-", " ").capitalize().replace("Api", "API")
        found[title] += [(path, verb, declared) for verb, declared in verbs.items()]
    return found


def _operation(declared: dict[str, Any]) -> str:
    needs = declared.get("description", "Requires no API key.")
    text = f"{declared['summary']}. {needs}\n"
    rows = [
        (
            f"`{one['name']}`",
            one["in"],
            describe_type(one["schema"]),
            describe_value(one) or describe_value(one["schema"]),
        )
        for one in declared["parameters"]
    ]
    text += _table(("parameter", "in", "type", "meaning"), rows)
    if body := declared.get("requestBody"):
        text += _body(body["content"])
    return text + _answers(declared["responses"])


def _body(content: dict[str, Any]) -> str:
    ((media_type, sent),) = content.items()
    example, language = sent["example"], "text"
    if not isinstance(example, str):
        example, language = json.dumps(example, indent=2, ensure_ascii=False), "json"
    title = " ".join(
        filter(None, ("Body:", describe_type(sent["schema"]), f"as `{media_type}`. Example:"))
    )
    return f"\n{title}\n\n```{language}\n{example.strip()}\n```\n"


def _answers(responses: dict[str, Any]) -> str:
    rows, problems = [], []
    for status, answer in responses.items():
        content = answer.get("content", {})
        if "application/problem+json" in content:
            problems.append(status)
            continue
        kinds = [describe_type(told["schema"]) for told in content.values()]
        types = [f"`{media_type}`" for media_type in content if "json" not in media_type]
        rows.append((status, " ".join(types or kinds) or "nothing"))
    rows += [("problems", ", ".join(problems))] if problems else []
    return _table(("status", "answer"), rows)


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    said = inspect.cleandoc(schema.get("description", ""))
    rows = [
        (
            f"`{field}`",
            describe_type(of),
            "required" if field in required else "",
            describe_value(of),
        )
        for field, of in schema.get("properties", {}).items()
    ]
    text = f"\n### {name}\n" + (f"\n{said}\n" if said else "")
    return text + _table(("field", "type", "", "meaning"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, or nothing if it has no rows."""
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    head = list(head)
    dashes = ["---"] * len(head)
    return f"\n| {' | '.join(head)} |\n| {' | '.join(dashes)} |\n{''.join(lines)}" if lines else ""


def describe_type(schema: dict[str, Any]) -> str:
    """Return the name of a type for people."""
    if "$ref" in schema:
        name = str(schema["$ref"].rsplit("/", 1)[-1])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(describe_type, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {describe_type(schema['items'])}"
    name = str(schema.get("format") or schema.get("type", ""))
    return TYPE_WORDS.get(name, name)


def describe_value(described: dict[str, Any]) -> str:
    """Return a description in one line, with the default."""
    text = " ".join(described.get("description", "").split()).replace("|", "/")
    default = described.get("default")
    if default is None or default == []:
        return text
    shown = json.dumps(default, ensure_ascii=False) if not isinstance(default, str) else default
    return f"{text.rstrip('.')}{'. ' if text else ''}Default: `{shown}`"
