"""Charts, drawn by pygal as SVG and coloured by the dashboard's style sheet.

pygal adds styles and a script of its own. The content security policy blocks both, and dark mode
cannot change the styles. So this module removes them, and adds a title and a description. It draws
each chart twice, for narrow and wide screens, so that letters keep their size.
"""

import sys
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from service.dashboard.presentation.formats import Formats

CHART_SIZES = {"narrow": (380, 230), "wide": (620, 240)}
MAX_LABELS_BY_SIZE = {"narrow": 3, "wide": 5}
DROPPED_SVG_TAGS = {"defs", "desc", "script", "style", "title"}
DROPPED_SVG_CLASSES = {"titles", "plot overlay", "plot text-overlay", "plot tooltip-overlay"}
ElementTree.register_namespace("", "http://www.w3.org/2000/svg")


@lru_cache(512)
def draw_bars(
    name: str,
    description: str,
    labels: Sequence[str],
    values: Sequence[float],
    formats: Formats,
) -> Markup:
    """Draw a bar for each label. The cache makes repeated figures free.

    Args:
        name, description: for screen readers.
        values: in the larger unit of a currency, or plain counts.
        formats: of the numbers at the axis.
    """
    said = f"{name}. {description}"
    drawn = (_cleaned(_draw(size, labels, values, formats), size, said) for size in CHART_SIZES)
    return Markup("").join(drawn)


def _draw(size: str, labels: Sequence[str], values: Sequence[float], formats: Formats) -> str:
    width, height = CHART_SIZES[size]
    chart = load_pygal().Bar(
        width=width,
        height=height,
        css=[],
        js=[],
        pretty_print=False,
        disable_xml_declaration=True,
        no_prefix=True,
        show_legend=False,
        show_minor_x_labels=False,
        x_labels_major_every=max(1, -(-len(labels) // MAX_LABELS_BY_SIZE[size])),
        truncate_label=-1,
        margin=8,
        spacing=6,
        min_scale=2,
        max_scale=4,
        range=(0, max([*values, 1])),
        value_formatter=formats.axis,
    )
    chart.x_labels = labels
    chart.add("", list(values))
    drawn: str = chart.render(is_unicode=True)
    return drawn


@cache
def load_pygal() -> Any:
    """Import pygal with the first chart, so that processes without charts do not load it."""
    import pygal

    # pygal installs a deprecated import hook, which makes each failed import warn.
    hooks = sys.meta_path
    hooks[:] = [hook for hook in hooks if not isinstance(hook, pygal.PluginImportFixer)]
    return pygal


def _cleaned(svg: str, size: str, said: str) -> Markup:
    root = ElementTree.fromstring(svg)  # noqa: S314  (pygal's own, whose text is escaped)
    for parent in list(root.iter()):
        for child in list(parent):
            if _is_dropped(child):
                parent.remove(child)
    root.attrib.pop("id", None)
    root.set("class", f"chart {size}")
    root.set("role", "img")
    root.set("aria-label", said)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704


def _is_dropped(element: Any) -> bool:
    return (
        element.tag.rpartition("}")[2] in DROPPED_SVG_TAGS
        or element.get("class") in DROPPED_SVG_CLASSES
        or "style" in element.attrib
    )
