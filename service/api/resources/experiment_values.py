"""The figures of an experiment by the values of an attribute, and the query for them."""

from typing import Annotated, Literal

from pydantic import MISSING, BaseModel, ConfigDict, Field

from documents.reports.experiment_values import MIN_COMPARED_RECIPIENTS
from documents.values.attributes import AttributeName
from service.api.fields import ResponseModel, Totals
from service.api.resources.experiment_figures import ComparisonOut


class ExperimentQuery(BaseModel):
    """The query of an experiment."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    by: Annotated[
        AttributeName | MISSING,
        Field(
            description="Attribute of users, or mailbox_provider, by whose values the experiment "
            "also shows its arms."
        ),
    ] = MISSING

    @property
    def attribute(self) -> str | None:
        """The attribute in `by`, if any."""
        return None if self.by is MISSING else self.by


class ValueArm(ResponseModel):
    """The recipients of an arm with one value, by intention to treat."""

    name: str
    held_out: bool
    recipients: int
    open_recipients: int
    delivered: int
    opened: int
    clicked: int
    givers: int
    raised: Totals
    credited: Totals
    response_rate: Annotated[
        float | None, Field(description="Givers per recipient; null without recipients.")
    ]
    raised_per_recipient: Annotated[
        dict[str, float], Field(description="Minor units per recipient, by currency.")
    ]
    comparison: Annotated[
        ComparisonOut | None,
        Field(
            description="The arm beside the baseline; null for the baseline, and if too few "
            "recipients have the value."
        ),
    ]


class ExperimentValue(ResponseModel):
    """One value of the attribute.

    `kind` is `value`, `other` for values beyond the limit of 200, or `none` for recipients without
    a value.
    """

    kind: Literal["value", "other", "none"]
    value: str | None
    recipients: int
    arms: list[ValueArm]


class ExperimentValues(ResponseModel):
    """The values of an attribute, those with most recipients first.

    All comparisons of the table hold together with 95 %, so they are wider than for the whole
    experiment. Of many values, some look special by chance.
    """

    by: str
    attributes: Annotated[list[str], Field(description="The attributes that `by` can name.")]
    comparisons: Annotated[
        int, Field(description="Comparisons of an arm with the baseline, at most 100.")
    ]
    min_recipients: Annotated[
        int,
        Field(
            description="Recipients that both arms of a comparison need.",
            examples=[MIN_COMPARED_RECIPIENTS],
        ),
    ]
    values: list[ExperimentValue]
