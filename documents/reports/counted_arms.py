"""The sums of an experiment's arms, in total or for one value of an attribute, from counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from documents.experiments.sums import ArmSums
from documents.participant import join_square
from documents.rows.experiment import ArmCountersRow, StoredArm
from documents.values.rates import drop_zero_totals

ARM_COUNTER_FIELDS = (
    *("recipients", "delivered", "opened", "clicked", "givers"),
    *("givers_by_currency", "raised", "credited", "ends", "squares"),
)


@dataclass(frozen=True, slots=True)
class CountedArm:
    """An arm with its sums: `response` in any currency, and `money` by currency."""

    definition: StoredArm
    response: ArmSums
    money: dict[str, ArmSums]
    credited: dict[str, int]
    open_recipients: int

    @property
    def name(self) -> str:
        return self.definition["name"]

    def in_currency(self, currency: str) -> ArmSums:
        return self.money.get(currency, ArmSums(self.response.recipients, 0))


def count_arm(arm: StoredArm, row: ArmCountersRow, at: datetime) -> CountedArm:
    """Return the sums of an arm.

    Args:
        row: the arm's counters.
        at: the current time.
    """
    recipients, today = row.get("recipients", 0), at.date().isoformat()
    givers, squares = row.get("givers_by_currency", {}), row.get("squares", {})
    money = {
        code: ArmSums(recipients, givers.get(code, 0), amount, _join(squares.get(code, {})))
        for code, amount in drop_zero_totals(row.get("raised", {})).items()
    }
    return CountedArm(
        definition=arm,
        response=ArmSums(recipients, row.get("givers", 0)),
        money=money,
        credited=drop_zero_totals(row.get("credited", {})),
        open_recipients=sum(n for day, n in row.get("ends", {}).items() if day >= today),
    )


def add_counters(total: dict[str, Any], row: Mapping[str, Any], sign: int = 1) -> None:
    """Add an arm's counters to a total, or subtract them if `sign` is -1."""
    _add(total, {name: row[name] for name in ARM_COUNTER_FIELDS if name in row}, sign)


def _add(total: dict[str, Any], amounts: Mapping[str, Any], sign: int) -> None:
    for name, amount in amounts.items():
        if isinstance(amount, Mapping):
            _add(total.setdefault(name, {}), amount, sign)
        else:
            total[name] = total.get(name, 0) + sign * amount


def _join(parts: Mapping[str, int]) -> int:
    return join_square(parts.get("high", 0), parts.get("low", 0))
