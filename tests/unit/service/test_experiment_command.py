"""`matchback experiment plan` needs no database."""

import pytest

from tools.testbed.command_line import run_matchback


def plan(*options: str) -> tuple[int, str, str]:
    result = run_matchback("experiment", "plan", *options)
    return result.exit_code, result.stdout, result.stderr


def test_a_plan_lists_the_sizes_of_the_arms() -> None:
    assert plan("--rate", "2", "--weights", "1:9") == (
        0,
        "response rate: 50,067 recipients\n  baseline: 5,007\n  arm 2: 45,060\n",
        "",
    )


def test_a_mean_gift_plans_the_money_too() -> None:
    code, output, _ = plan("--rate", "2", "--gift", "50", "--spread", "65.5")
    assert code == 0
    response, money = (
        int(line.split()[-2].replace(",", ""))
        for line in output.splitlines()
        if "recipients" in line
    )
    assert response < money


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "0"], "--rate"),
        (["--rate", "2", "--weights", "1"], "Must be 2 to 20 whole numbers above 0"),
        (["--rate", "2", "--weights", "1:0"], "Must be 2 to 20 whole numbers above 0"),
        (["--rate", "2", "--difference", "0"], "the effect must not be zero"),
        (["--rate", "2", "--difference", "99"], "Rates must be between 0 and 1"),
        (["--rate", "2", "--difference", "0.0001"], "The effect is too small"),
        (["--rate", "2", "--difference", "nan"], "Rates must be between 0 and 1"),
    ],
)
def test_a_bad_plan_is_reported_in_a_sentence(options: list[str], message: str) -> None:
    code, _, error = plan(*options)
    assert code in (1, 2)
    assert message in error
