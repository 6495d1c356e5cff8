"""The OpenAPI document as a page for people."""

import html
import inspect
from typing import Any


def docs_page(openapi: dict[str, Any]) -> str:
    """The document as a page that loads nothing else."""
    rows = []
    for path, verbs in openapi["paths"].items():
        for verb, declared in verbs.items():
            body = declared.get("requestBody", {}).get("content", {}).get("application/json", {})
            reference = body.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
            rows.append(
                f"<tr><td><code>{verb.upper()}</code></td><td><code>{html.escape(path)}</code></td>"
                f"<td>{html.escape(declared['summary'])}</td>"
                f'<td><a href="#{reference}">{reference}</a></td>'
                f"<td>{', '.join(declared['responses'])}</td></tr>"
            )
    schemas = openapi["components"]["schemas"]
    fields = [_schema_section(name, schema) for name, schema in sorted(schemas.items())]
    return inspect.cleandoc(PAGE).format(rows="\n".join(rows), schemas="\n".join(fields))


def _schema_section(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{html.escape(field)}</code></td><td>{html.escape(_kind(of))}</td>"
        f"<td>{'required' if field in required else ''}</td>"
        f"<td>{html.escape(of.get('description', ''))}</td></tr>"
        for field, of in schema.get("properties", {}).items()
    )
    about = html.escape(inspect.cleandoc(schema.get("description", "")))
    return f'<h3 id="{name}">{name}</h3><p>{about}</p><table>{rows}</table>'


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    return str(schema.get("format") or schema.get("type", ""))


PAGE = """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><title>Matchback API</title>
    <meta name="viewport" content="width=device-width">
    <style>
    body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
           padding: 0 1rem; color-scheme: light dark }}
    table {{ border-collapse: collapse; width: 100% }}
    td, th {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884;
             vertical-align: top }}
    </style></head><body>
    <h1>Matchback API</h1>
    <p>Send <code>Authorization: Bearer mb_…</code>. Money is in minor units. Times are RFC 3339.
    Errors are problem documents. The same for programs: <a href="/openapi.json">openapi.json</a>.
    </p>
    <table><tr><th></th><th>Path</th><th></th><th>Body</th><th>Answers</th></tr>
    {rows}</table>
    <h2>Schemas</h2>
    {schemas}
    </body></html>
"""
