"""The chart of money over time. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from documents.values.money import to_major_units
from service.dashboard.presentation import charts
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.time_axis import Point

MAX_CHARTS = 3


def draw_raised_chart(points: Sequence[Point], currency: str, formats: Formats) -> Markup:
    """Draw a bar for each point, which is a label and an amount in minor units."""
    label, most = max(points, key=lambda point: point[1])
    said = formats.language.gettext
    description = said("%(first)s to %(last)s. Maximum: %(amount)s, %(time)s")
    return charts.draw_bars(
        said("Raised over time, %(currency)s") % {"currency": currency},
        description
        % {
            "first": points[0][0],
            "last": points[-1][0],
            "amount": formats.money(most, currency),
            "time": label,
        },
        tuple(label for label, _ in points),
        tuple(to_major_units(amount, currency) or 0 for _, amount in points),
        formats,
    )
