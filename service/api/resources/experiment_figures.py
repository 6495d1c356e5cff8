"""The figures in the report of an experiment, with their intervals."""

from typing import Annotated, Literal

from pydantic import Field

from documents.experiments.verdict import VerdictKind
from service.api.fields import ResponseModel

End = Annotated[
    float | None, Field(description="End of the 95 % interval; null if the data set no bound.")
]


class Estimated(ResponseModel):
    """A figure with its 95 % interval, which is valid however often you read it."""

    value: float
    low: End
    high: End


class EffectOut(ResponseModel):
    difference: Annotated[
        Estimated, Field(description="The arm's figure minus that of the baseline.")
    ]
    lift: Annotated[
        Estimated | None,
        Field(description="Difference divided by the baseline's figure; null if that is zero."),
    ]
    caused: Annotated[
        Estimated,
        Field(description="Difference times the arm's recipients: givers, or minor units."),
    ]


class VerdictOut(ResponseModel):
    """The result so far, about one arm."""

    arm: str
    baseline: str
    kind: VerdictKind
    figure: Annotated[
        Literal["raised", "response"] | None, Field(description="The figure that decided.")
    ]
    currency: str | None
    low: Annotated[float | None, Field(description="Lower end of what the arm caused.")]
    high: Annotated[float | None, Field(description="Upper end of what the arm caused.")]
    credited: Annotated[
        int | None, Field(description="Donations in minor units that match the arm's emails.")
    ]
    more_recipients: Annotated[
        int | None, Field(description="Recipients of all arms that are still needed.")
    ]
    open_recipients: Annotated[
        int | None, Field(description="Recipients whose window has not ended.")
    ]
    smallest_difference: Annotated[
        float, Field(description="Smallest difference of response rates to look for.")
    ]
    largest_difference: Annotated[
        float | None, Field(description="Largest difference that is still possible.")
    ]
    opposite_currencies: Annotated[
        list[str],
        Field(description="Currencies in which the arm had the opposite effect on money."),
    ]
    sentence: Annotated[str, Field(description="The result in plain English.")]


class ComparisonOut(ResponseModel):
    """An arm beside the baseline. All comparisons of an experiment hold together with 95 %."""

    baseline: str
    response: EffectOut
    raised: Annotated[
        dict[str, EffectOut], Field(description="Money per recipient in minor units, by currency.")
    ]
    verdict: VerdictOut
