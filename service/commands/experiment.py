"""`matchback experiment`: plan the size of an experiment."""

import sys
from collections.abc import Sequence
from typing import Any

import click

MAX_PLANNED_ARMS = 20


class Weights(click.ParamType[list[int]]):
    """Relative sizes of arms, as 1:9. The baseline is first."""

    name = "weights"

    def convert(self, value: Any, param: Any, context: Any) -> list[int]:
        if isinstance(value, list):
            return value
        parts = str(value).split(":")
        if not 2 <= len(parts) <= MAX_PLANNED_ARMS or not all(map(_is_weight, parts)):
            self.fail("Must be 2 to 20 whole numbers above 0, as 1:9.", param, context)
        return [int(part) for part in parts]


@click.group()
def experiment() -> None:
    """Plan experiments with mailings."""


@experiment.command("plan")
@click.option(
    "--rate",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    required=True,
    help="Expected response rate of the baseline, in percent.",
)
@click.option(
    "--difference",
    type=float,
    default=1.0,
    help="Smallest interesting difference of response rates, in percentage points.",
)
@click.option(
    "--weights",
    type=Weights(),
    default="1:1",
    help="Relative sizes of the arms. The holdout, or the first arm, is first.",
)
@click.option(
    "--power",
    type=click.FloatRange(50, 99),
    default=80.0,
    help="Chance to see the difference, in percent.",
)
@click.option(
    "--gift",
    type=click.FloatRange(0, 1_000_000_000, min_open=True),
    help="Mean gift; also plans the money per recipient.",
)
@click.option(
    "--spread",
    type=click.FloatRange(0, 1_000_000_000),
    help="Standard deviation of gifts; by default, the mean gift.",
)
def plan(
    *,
    rate: float,
    difference: float,
    weights: list[int],
    power: float,
    gift: float | None,
    spread: float | None,
) -> None:
    """Show how many recipients an experiment needs.

    The numbers are valid for results that you read as often as you like.
    """
    from documents.experiments.planner import Design, GiftSizes, plan_raised, plan_response
    from documents.experiments.report import count_questions

    design = Design(weights, count_questions(len(weights)), power / 100)
    share, points = rate / 100, difference / 100
    try:
        _print_plan("response rate", plan_response(share, points, design).recipients)
        if gift is not None:
            mean, deviation = (100 * one for one in (gift, gift if spread is None else spread))
            sizes = GiftSizes(mean, deviation)
            found = plan_raised(share, sizes, points / share, design)
            _print_plan("money per recipient", found.recipients)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _print_plan(figure: str, recipients: Sequence[int]) -> None:
    names = ["baseline", *(f"arm {number}" for number in range(2, len(recipients) + 1))]
    lines = [f"{figure}: {sum(recipients):,} recipients\n"]
    lines += [f"  {name}: {size:,}\n" for name, size in zip(names, recipients, strict=True)]
    sys.stdout.writelines(lines)


def _is_weight(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= len("1000000") and int(text) > 0
