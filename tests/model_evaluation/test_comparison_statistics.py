"""Properties of a whole comparison: it mirrors, repeats to the byte, covers the truth, claims what it can show."""

import json
import math
import random
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from model_evaluation.statistics.comparison_statistics import ComparisonStatistics, compare
from model_evaluation.statistics.interval import wilson
from model_evaluation.statistics.outcome import VALUE, Order, Outcome, Winner, prompts
from model_evaluation.statistics.statistic import Interval
from model_evaluation.statistics.win_rate import WinRate, win_rate

pytestmark = pytest.mark.filterwarnings("error")

winners = st.sampled_from(["a", "b", "tie", "a", "b", None])
scores = st.integers(-2, 20).map(lambda half: None if half < 0 else half / 2)
lengths = st.integers(-3, 40).map(lambda length: None if length < 0 else length)
orders = st.lists(st.builds(Order, shown_first=st.sampled_from(["a", "b"]), winner=winners), max_size=4).map(tuple)
comparisons = st.lists(
    st.builds(
        Outcome,
        prompt_id=st.integers(0, 60).map(str),
        model_a=st.just("new"),
        model_b=st.just("old"),
        winner=winners,
        orders=orders,
        score_a=scores,
        score_b=scores,
        length_a=lengths,
        length_b=lengths,
    ),
    min_size=1,
    max_size=40,
)
few = settings(max_examples=30, deadline=None, derandomize=True)


def outcome(winner: Winner | None, number: int = 0, orders: tuple[Order, ...] = (), status: str = "ok") -> Outcome:
    return Outcome(f"p{number}", "new", "old", winner, status, orders)


def outcomes(wins: int, ties: int = 0, losses: int = 0) -> list[Outcome]:
    every: list[Winner] = [*["a"] * wins, *["tie"] * ties, *["b"] * losses]
    return [outcome(winner, number) for number, winner in enumerate(every)]


def judged_twice(rng: random.Random, number: int, p_a: float, correlation: float) -> Outcome:
    """Two orders, the second of which repeats the first one's verdict with that probability; agreed or a tie."""
    first: Winner = "a" if rng.random() < p_a else "b"
    second: Winner = first if rng.random() < correlation else "a" if rng.random() < p_a else "b"
    return outcome(first if first == second else "tie", number, (Order("a", first), Order("b", second)))


def close(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else math.isclose(one, other, abs_tol=1e-9)


def reflects(one: Interval | None, other: Interval | None, around: float) -> bool:
    if one is None or other is None:
        return one is other
    return close(one.low, around - other.high) and close(one.high, around - other.low)


def rates_mirror(one: WinRate, other: WinRate) -> None:
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert (one.n, one.incomplete, one.reason) == (other.n, other.incomplete, other.reason)
    assert one.sign_test == other.sign_test
    assert close(one.rate, None if other.rate is None else 1 - other.rate)
    assert reflects(one.interval, other.interval, 1)
    assert reflects(one.wilson, other.wilson, 1)


def scores_mirror(one: ComparisonStatistics, other: ComparisonStatistics) -> None:
    ours, theirs = one.scores, other.scores
    assert (ours.model_a, ours.model_b, ours.unscored) == (theirs.model_b, theirs.model_a, theirs.unscored)
    for mine, its in ((ours.difference, theirs.difference), (ours.effect_size, theirs.effect_size)):
        assert close(mine.value, None if its.value is None else -its.value)
        assert reflects(mine.interval, its.interval, 0)
    assert close(ours.permutation.p, theirs.permutation.p)
    assert close(ours.wilcoxon.p, theirs.wilcoxon.p)


def biases_mirror(one: ComparisonStatistics, other: ComparisonStatistics) -> None:
    ours, theirs = one.bias, other.bias
    assert ours.position_consistency == theirs.position_consistency
    assert ours.first_slot_rate == theirs.first_slot_rate
    assert ours.longer_wins_rate == theirs.longer_wins_rate
    rates_mirror(ours.length_matched.win_rate, theirs.length_matched.win_rate)
    mine, its = ours.length_controlled, theirs.length_controlled
    assert close(mine.value, None if its.value is None else 1 - its.value)
    assert reflects(mine.interval, its.interval, 1)


@few
@given(comparisons)
def test_swapping_the_models_mirrors_every_number(rows: list[Outcome]) -> None:
    one, other = compare(rows, seed=3), compare([row.mirrored() for row in rows], seed=3)
    assert (one.model_a, one.model_b) == (other.model_b, other.model_a)
    rates_mirror(one.win_rate, other.win_rate)
    scores_mirror(one, other)
    biases_mirror(one, other)
    assert one.detectable_effect == other.detectable_effect
    assert one.incomplete_by_status == other.incomplete_by_status
    assert one.difference_shown == other.difference_shown
    assert not one.difference_shown or one.verdict == other.verdict


@few
@given(comparisons, st.randoms())
def test_whatever_the_outcomes_the_numbers_are_finite_and_nulls_have_reasons(
    rows: list[Outcome], order: random.Random
) -> None:
    first = compare(rows, seed=1).model_dump_json()
    order.shuffle(rows)
    assert compare(rows, seed=1).model_dump_json() == first, "depends on the order in which verdicts came"

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for key in ("value", "p", "rate", "effect"):
                assert value.get(key, 0) is not None or value["reason"]
            list(map(walk, value.values()))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    walk(json.loads(first, parse_constant=refuse))


def test_the_same_seed_gives_the_same_bytes_in_another_process_and_another_seed_does_not() -> None:
    rng = random.Random(0)
    rows = [replace(judged_twice(rng, n, 0.6, 0.5), score_a=rng.randint(0, 10), score_b=5) for n in range(30)]
    code = (
        "import sys; from pydantic import TypeAdapter; from model_evaluation.statistics.outcome import Outcome;"
        "from model_evaluation.statistics.comparison_statistics import compare;"
        "print(compare(TypeAdapter(list[Outcome]).validate_json(sys.stdin.read()), 7).model_dump_json(), end='')"
    )
    given_rows = TypeAdapter(list[Outcome]).dump_json(rows)
    there = subprocess.run([sys.executable, "-c", code], input=given_rows, capture_output=True, check=True)
    assert there.stdout == compare(rows, 7).model_dump_json().encode()
    assert compare(rows, 8).win_rate.interval != compare(rows, 7).win_rate.interval


def test_intervals_cover_the_truth_where_two_orders_agree_often_and_counting_them_as_two_does_not() -> None:
    truth, n, simulations, rng = 0.6, 50, 500, random.Random(1)
    covered = naive = 0
    for seed in range(simulations):
        rows = [judged_twice(rng, number, truth, correlation=0.7) for number in range(n)]
        rate = win_rate([prompt.value for prompt in prompts(rows, "new")], seed, resamples=999)
        verdicts = [VALUE[one.winner] for row in rows for one in row.orders if one.winner]
        doubled = wilson(sum(verdicts), len(verdicts))
        assert rate.interval is not None
        assert doubled is not None
        covered += truth in rate.interval
        naive += truth in doubled
    assert covered / simulations >= 0.93
    assert naive / simulations <= 0.89


def test_a_model_against_itself_is_claimed_different_one_time_in_twenty_at_most() -> None:
    rng = random.Random(2)
    claims = 0
    for seed in range(400):
        rows = [replace(judged_twice(rng, n, 0.5, 0.5), model_b="new") for n in range(40)]
        rate = win_rate([prompt.value for prompt in prompts(rows, "new")], seed, resamples=999)
        assert rate.interval is not None
        claims += 0.5 not in rate.interval
    assert claims / 400 <= 0.07  # 0.05 and two standard errors


@pytest.mark.parametrize("first_wins", [True, False])
def test_a_model_against_itself_under_a_judge_that_sees_only_positions_is_a_half(first_wins: bool) -> None:
    a, b = ("a", "b") if first_wins else ("b", "a")
    rows = [replace(outcome("tie", n, (Order("a", a), Order("b", b))), model_b="new") for n in range(20)]
    found = compare(rows, 0)
    assert found.win_rate.rate == 0.5
    assert found.win_rate.interval is not None
    assert 0.5 in found.win_rate.interval
    assert found.verdict.startswith("no difference shown")
    assert found.bias.first_slot_rate.value == float(first_wins)
    assert found.bias.position_consistency.value == 0


def test_the_sentence_names_the_winner_from_either_side() -> None:
    rows = outcomes(35, 5, 10)
    figures = "(35 won, 5 tied, 10 lost; 0 incomplete)"
    for found in (compare(rows, 0), compare([row.mirrored() for row in rows], 0)):
        assert found.verdict.startswith("new won: win rate 75.0% [")
        assert figures in found.verdict


def test_the_sentence_shows_no_difference_where_the_interval_contains_a_half() -> None:
    found = compare(outcomes(27, 3, 20), 0)
    assert found.win_rate.interval is not None
    assert 0.5 in found.win_rate.interval
    assert found.verdict.startswith("no difference shown: new has win rate 57.0% [")


@pytest.mark.parametrize("rows", [outcomes(4), outcomes(5), outcomes(3, 47), outcomes(0, 30, 5)])
def test_five_decided_prompts_or_fewer_show_no_difference(rows: list[Outcome]) -> None:
    found = compare(rows, 0)
    assert found.win_rate.sign_test.p is not None
    assert found.win_rate.sign_test.p > 0.05
    assert not found.difference_shown
    assert found.verdict.startswith("no difference shown")


def test_no_difference_has_its_reason_where_the_interval_leaves_a_half_out_and_only_there() -> None:
    outside, inside = compare(outcomes(4), 0), compare(outcomes(3, 0, 2), 0)
    assert outside.win_rate.interval is not None
    assert 0.5 not in outside.win_rate.interval
    assert outside.verdict.endswith("; only 4 prompts were decided, fewer than 6")
    assert inside.verdict.endswith("0 incomplete)")


def test_incomplete_comparisons_are_counted_and_in_no_other_number() -> None:
    failed = [outcome(None, 100, (Order("a", "b"),), "judge_timeout"), outcome(None, 101, status="judge_refused")]
    failed = [replace(one, score_a=0.0, score_b=10.0, length_a=1, length_b=9) for one in failed]
    with_them, without = compare([*outcomes(8, 1, 3), *failed], 0), compare(outcomes(8, 1, 3), 0)
    assert with_them.incomplete_by_status == {"judge_refused": 1, "judge_timeout": 1}
    assert with_them.win_rate == without.win_rate.model_copy(update={"incomplete": 2})
    assert (with_them.scores, with_them.bias) == (without.scores, without.bias)


def test_nothing_complete_is_said_in_words() -> None:
    found = compare([outcome(None, n, status="judge_budget") for n in range(3)], 0)
    assert found.win_rate.rate is None
    assert found.verdict == "no difference shown: none of 3 comparisons of new and old is complete"


def test_a_prompt_compared_three_times_counts_once_with_its_mean() -> None:
    rows = [outcome("a"), outcome("a"), outcome("b"), outcome("b", 1)]
    found = compare(rows, 0).win_rate
    assert (found.n, found.wins, found.losses) == (2, 1, 1)
    assert found.rate == pytest.approx(1 / 3)


def test_a_third_model_is_refused_with_what_would_have_worked() -> None:
    with pytest.raises(ValueError, match=r"other.*rank\(\)"):
        compare([outcome("a"), replace(outcome("a"), model_b="other")], 0)
    with pytest.raises(ValueError, match="at least one"):
        compare([], 0)


@pytest.mark.parametrize("bad", [{"score_a": math.nan}, {"score_b": 11.0}, {"length_a": -1}, {"winner": "A"}])
def test_an_impossible_outcome_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        replace(outcome("a"), **bad)
