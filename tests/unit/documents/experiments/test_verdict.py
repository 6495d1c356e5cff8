"""The one sentence that staff read about an experiment."""

from documents.experiments.planner import Design
from documents.experiments.report import compare_arms, count_questions
from documents.experiments.sums import ArmSums
from documents.experiments.verdict import Standing, Verdict, VerdictKind, judge

FIFTY_DOLLARS = 5_000
DESIGN = Design((1, 1), count_questions(2))


def give_fifty(recipients: int, givers: int) -> ArmSums:
    return ArmSums(recipients, givers, givers * FIFTY_DOLLARS, givers * FIFTY_DOLLARS**2)


def judge_arms(
    arm: ArmSums, holdout: ArmSums, *, credited: int = 0, waiting: int = 0, smallest: float = 0.01
) -> Verdict:
    comparison = compare_arms(arm, holdout, DESIGN.questions)
    total = arm.recipients + holdout.recipients
    return judge(comparison, Standing(arm, holdout, DESIGN, total, waiting, credited, smallest))


def test_a_mailing_that_raises_more_caused_a_part_of_what_is_credited() -> None:
    verdict = judge_arms(give_fifty(5_000, 200), give_fifty(5_000, 100), credited=900_000)
    assert verdict.kind == VerdictKind.CAUSED
    assert verdict.figure == "raised"
    assert verdict.interval is not None
    assert 0 < verdict.interval.low < 500_000 < verdict.interval.high < 900_000
    assert verdict.credited == 900_000


def test_a_mailing_can_lose_gifts() -> None:
    verdict = judge_arms(give_fifty(5_000, 100), give_fifty(5_000, 200), credited=300_000)
    assert verdict.kind == VerdictKind.AGAINST
    assert verdict.interval is not None
    assert verdict.interval.high < 0


def test_responses_decide_while_money_is_uncertain() -> None:
    large = ArmSums(0, 1, 10**8, 10**16)
    verdict = judge_arms(give_fifty(5_000, 200), give_fifty(5_000, 100) + large)
    assert verdict.kind == VerdictKind.CAUSED
    assert verdict.figure == "response"
    assert verdict.interval is not None
    assert 0 < verdict.interval.low < 100 < verdict.interval.high


def test_a_small_mailing_needs_more_recipients() -> None:
    verdict = judge_arms(give_fifty(500, 12), give_fifty(500, 10))
    assert verdict.kind == VerdictKind.TOO_EARLY
    assert verdict.more_recipients is not None
    assert 10_000 < verdict.more_recipients < 30_000
    assert verdict.open_recipients == 0


def test_a_mailing_without_a_gift_needs_more_recipients() -> None:
    verdict = judge_arms(give_fifty(50, 0), give_fifty(50, 0))
    assert verdict.kind == VerdictKind.TOO_EARLY
    assert verdict.more_recipients


def test_an_experiment_has_not_started_until_each_arm_has_recipients() -> None:
    for arm, baseline in ((0, 0), (9, 0), (0, 9)):
        verdict = judge_arms(ArmSums(arm, 0), ArmSums(baseline, 0))
        assert verdict.kind == VerdictKind.NOT_STARTED
    assert judge_arms(ArmSums(1, 0), ArmSums(1, 0)).kind == VerdictKind.TOO_EARLY


def test_recipients_who_can_still_give_make_it_too_early() -> None:
    arm, holdout = give_fifty(50_000, 1_000), give_fifty(50_000, 1_000)
    verdict = judge_arms(arm, holdout, waiting=100_000)
    assert verdict.kind == VerdictKind.TOO_EARLY
    assert verdict.more_recipients == 0
    assert verdict.open_recipients == 100_000


def test_a_large_mailing_without_an_effect_bounds_the_difference() -> None:
    verdict = judge_arms(give_fifty(50_000, 1_000), give_fifty(50_000, 1_000))
    assert verdict.kind == VerdictKind.NO_DIFFERENCE
    assert verdict.largest_difference is not None
    assert 0.002 < verdict.largest_difference < 0.005


def test_a_smaller_interesting_difference_needs_more_recipients() -> None:
    arm, holdout = give_fifty(50_000, 1_000), give_fifty(50_000, 1_000)
    verdict = judge_arms(arm, holdout, smallest=0.001)
    assert verdict.kind == VerdictKind.TOO_EARLY
    assert verdict.more_recipients


def test_when_nearly_everybody_gives_the_plan_looks_for_a_loss() -> None:
    verdict = judge_arms(give_fifty(50, 50), give_fifty(50, 50))
    assert verdict.kind == VerdictKind.TOO_EARLY
    assert verdict.more_recipients
