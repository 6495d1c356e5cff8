"""docs/reference/settings.md, generated from `Settings`."""

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from config.settings import Settings, get_variable_name

SETTINGS_PAGE_INTRO = """# Settings

`make reference` generates this page from `config/settings.py`.

Each process reads its settings from environment variables when it starts. A misspelt name or an
invalid value stops the start. The message names the variable and the reason, and never repeats the
value. All processes of a deployment need the same settings.

| variable | default | values | meaning |
| --- | --- | --- | --- |
"""
TYPE_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "yes or no",
}
BOUND_WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def build_page() -> str:
    """Return the page."""
    return SETTINGS_PAGE_INTRO + "".join(
        map(_row, Settings.model_fields, Settings.model_fields.values())
    )


def _row(name: str, field: FieldInfo) -> str:
    cells = (
        f"`{get_variable_name(name)}`",
        _default(field.default),
        _takes(field),
        field.description or "",
    )
    return f"| {' | '.join(cells)} |\n"


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in ("", ()) else f"`{value}`"


def _takes(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list, with commas"
    bounds = [
        f"{words} {getattr(limit, bound):g}"
        for limit in field.metadata
        for bound, words in BOUND_WORDS.items()
        if hasattr(limit, bound)
    ]
    return ", ".join([TYPE_NAMES[kind], *bounds])
