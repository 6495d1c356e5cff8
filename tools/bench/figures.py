"""Measured figures: a table for people, JSON for programs, and a picture."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from service.dashboard.presentation.charts import load_pygal

AT_LEAST, AT_MOST = "at least", "at most"
COLOURS = ("#2f5d8a", "#c8762b", "#6b8e4e", "#8a5a83", "#b0a030", "#777777", "#9b3d3d", "#4aa3a3")
CHART_OPTIONS: dict[str, Any] = {
    "js": (),
    "disable_xml_declaration": True,
    "width": 900,
}
CHART_STYLE: dict[str, Any] = {
    "background": "white",
    "plot_background": "white",
    "font_family": "sans-serif",
    "colors": COLOURS,
    "value_font_size": 12,
}


@dataclass
class Figure:
    """A measured quantity with one value per round. `target` is the limit for its median."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)
    bound: str = ""
    target: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the target, or None without a target."""
        if self.target is None:
            return None
        return self.median >= self.target if self.bound == AT_LEAST else self.median <= self.target


def build_ratio_figure(
    name: str, one: Figure, other: Figure, bound: str = "", target: float | None = None
) -> Figure:
    """Divide one figure by another, round by round. The ratio cancels the noise of the machine."""
    pairs = zip(one.values, other.values, strict=True)
    return Figure(name, "×", [a / b if b else 0.0 for a, b in pairs], bound, target)


def format_table(figures: Sequence[Figure]) -> str:
    """Return a table of each figure's median, spread and target."""
    lines = []
    for figure in figures:
        spread = f"{_told(min(figure.values))} to {_told(max(figure.values))}"
        held = ""
        if figure.target is not None:
            held = f"{figure.bound} {_told(figure.target)}"
            held += ": met" if figure.is_met else ": MISSED"
        lines.append(
            f"{figure.name:<58}{_told(figure.median):>10} {figure.unit:<12}{spread:<22}{held}"
        )
    return "\n".join(lines)


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_results(folder: Path, figures: Sequence[Figure], about: dict[str, Any]) -> None:
    """Write the figures to results.json."""
    told = [asdict(one) | {"median": one.median, "is_met": one.is_met} for one in figures]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "figures": told}, indent=1)
    (folder / "results.json").write_text(text + "\n")


def draw_chart(path: Path, figures: Sequence[Figure]) -> None:
    """Draw the rates that have a peer, side by side, on a logarithmic axis."""
    rates = [one for one in figures if one.unit.endswith("/s")]
    drawing = _drawn(
        "HorizontalBar",
        title="Each second, more is better",
        logarithmic=True,
        height=60 + 34 * len(rates),
        show_legend=False,
        print_values=True,
        value_formatter=_told,
    )
    drawing.x_labels = [f"{one.name} ({one.unit})" for one in reversed(rates)]
    drawing.add("", [one.median or None for one in reversed(rates)])
    path.write_text(drawing.render() + "\n")


def draw_parts(path: Path, title: str, bars: dict[str, dict[str, float]], unit: str) -> None:
    """Draw stacked bars with one colour per part: {bar: {part: value}}."""
    drawing = _drawn(
        "HorizontalStackedBar",
        title=title,
        x_title=unit,
        height=190 + 60 * len(bars),
        legend_at_bottom=True,
    )
    drawing.x_labels = list(bars)
    for part in dict.fromkeys(part for bar in bars.values() for part in bar):
        drawing.add(part, [bar.get(part) for bar in bars.values()])
    path.write_text(drawing.render() + "\n")


def _drawn(kind: str, **options: Any) -> Any:
    pygal = load_pygal()
    return getattr(pygal, kind)(style=pygal.style.Style(**CHART_STYLE), **CHART_OPTIONS, **options)
