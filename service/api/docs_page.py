"""The OpenAPI document as an HTML page without scripts or external resources."""

import base64
import hashlib
import html
import inspect
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

escape = html.escape


def render_docs_page(openapi: dict[str, Any]) -> str:
    """Return the page."""
    by_tag = defaultdict(list)
    for path, verbs in openapi["paths"].items():
        for verb, declared in verbs.items():
            by_tag[declared["tags"][0]].append(_operation(path, verb, declared))
    schemas = openapi["components"]["schemas"]
    parts = [
        f"<h1>Matchback API {escape(openapi['info']['version'])}</h1>",
        f"<p>{_text(openapi['info']['description'])}</p>",
        f"<p>{_text(openapi['components']['securitySchemes']['key']['description'])}</p>",
        '<p>OpenAPI document: <a href="/openapi.json">openapi.json</a>.</p>',
        *(part for tag, found in by_tag.items() for part in (f"<h2>{_words(tag)}</h2>", *found)),
        "<h2>Schemas</h2>",
        *(_schema(name, schema) for name, schema in sorted(schemas.items())),
    ]
    return inspect.cleandoc(DOCS_PAGE_TEMPLATE).format(style=DOCS_PAGE_STYLE, body="\n".join(parts))


def _operation(path: str, verb: str, declared: dict[str, Any]) -> str:
    return (
        f'<details id="{declared["operationId"]}"><summary><code>{verb.upper()}</code>'
        f"<code>{escape(path)}</code><span>{escape(declared['summary'])}</span></summary>"
        f"<p>{_text(declared.get('description', 'Requires no API key.'))}</p>"
        f"{_parameters(declared['parameters'])}{_body(declared.get('requestBody'))}"
        f"{_answers(declared['responses'])}</details>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            one["in"],
            _kind(one["schema"]),
            _text(one.get("description") or one["schema"].get("description", "")),
        )
        for one in parameters
    ]
    return _table("Parameters", rows)


def _body(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    ((media_type, content),) = body["content"].items()
    example = content["example"]
    shown = example if isinstance(example, str) else json.dumps(example, indent=2)
    kind = _kind(content["schema"]) or "any"
    return f"<h4>Body: {kind}, {escape(media_type)}</h4><pre>{escape(shown)}</pre>"


def _answers(responses: dict[str, Any]) -> str:
    rows = []
    for status, answered in responses.items():
        contents = answered.get("content", {}).values()
        kinds = " ".join(_kind(content["schema"]) for content in contents)
        rows.append((f"<code>{status}</code>", kinds, _text(answered["description"])))
    return _table("Responses", rows)


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _kind(of),
            "required" if field in required else "",
            _text(of.get("description", "")),
        )
        for field, of in schema.get("properties", {}).items()
    ]
    about = _text(inspect.cleandoc(schema.get("description", "")))
    return f'<h3 id="{name}">{name}</h3><p>{about}</p>{_table("", rows)}'


def _table(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    heading = f"<h4>{title}</h4>" if title else ""
    return f"{heading}<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return escape(str(schema.get("format") or schema.get("type", "")))


def _text(text: str) -> str:
    """Return the text as HTML, with `code` in code elements."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))


def _words(name: str) -> str:
    """Split a class name into words: ApiKeys becomes “Api keys”."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


DOCS_PAGE_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem }
h4 { margin: 1rem 0 .3rem }
code, pre { font: .9em ui-monospace, monospace }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; border-radius: .3rem }
details { border-bottom: 1px solid var(--line) }
details[open] { padding-bottom: 1rem }
summary { display: flex; flex-wrap: wrap; gap: .3rem 1rem; padding: .5rem 0; cursor: pointer }
summary code:first-child { width: 4rem; font-weight: 600 }
summary span { margin-left: auto; text-align: right }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
td { padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top }
"""
DOCS_PAGE_TEMPLATE = """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><title>Matchback API</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <style>{style}</style></head><body><main>
    {body}
    </main></body></html>
"""
_digest = base64.b64encode(hashlib.sha256(DOCS_PAGE_STYLE.encode()).digest()).decode()
DOCS_PAGE_CSP = f"default-src 'none'; style-src 'sha256-{_digest}'; frame-ancestors 'none'"
