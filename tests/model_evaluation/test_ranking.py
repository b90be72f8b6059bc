"""Three or more models: strengths, their intervals, and pairs that hold up together."""

import gc
import random
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from model_evaluation.statistics.comparison_statistics import compare
from model_evaluation.statistics.holm import holm
from model_evaluation.statistics.outcome import Outcome, Winner
from model_evaluation.statistics.ranking import Ranking, rank

pytestmark = pytest.mark.filterwarnings("error")

STRENGTH = {"low": 0.5, "middle": 1.0, "high": 2.0}


def games(prompts: int, strength: dict[str, float], seed: int = 0) -> list[Outcome]:
    rng = random.Random(seed)
    return [game(n, a, b, strength, rng) for n in range(prompts) for a, b in combinations(strength, 2)]


def game(number: int, a: str, b: str, strength: dict[str, float], rng: random.Random) -> Outcome:
    drawn = rng.random() * (strength[a] + strength[b])
    winner: Winner = "tie" if rng.random() < 0.2 else "a" if drawn < strength[a] else "b"
    return Outcome(f"p{number:03}", a, b, winner)


def won(number: int, winner: str, loser: str) -> Outcome:
    return Outcome(f"p{number:03}", winner, loser, "a")


def names(ranking: Ranking) -> list[str]:
    return [one.model for one in ranking.models]


def test_models_are_ranked_by_strength_with_intervals_around_the_truth() -> None:
    ranking = rank(games(60, STRENGTH), seed=0, resamples=199)
    assert names(ranking) == ["high", "middle", "low"]
    for one in ranking.models:
        assert one.log_strength.n == 60
        assert one.expected_win_rate.interval is not None
        others = [strength for model, strength in STRENGTH.items() if model != one.model]
        own = STRENGTH[one.model]
        truth = 0.8 * np.mean([own / (own + other) for other in others]) + 0.1  # one game in five is a tie
        assert truth in one.expected_win_rate.interval


def test_strengths_are_those_of_a_logistic_regression_with_one_virtual_tie_a_pair() -> None:
    rows = games(30, STRENGTH)
    models = sorted(STRENGTH)
    x, y = [], []
    value = {"a": 1.0, "b": 0.0, "tie": 0.5}
    for row in rows:
        assert row.winner is not None
        x.append([(model == row.model_a) - (model == row.model_b) for model in models])
        y.append(value[row.winner])
    for a, b in combinations(models, 2):
        x.append([(model == a) - (model == b) for model in models])
        y.append(0.5)
    fit = sm.GLM(y, np.array(x)[:, 1:], family=sm.families.Binomial()).fit()
    reference = np.array([0.0, *fit.params])
    found = {one.model: one.log_strength.value for one in rank(rows, seed=0, resamples=9).models}
    assert [found[model] for model in models] == pytest.approx(list(reference - reference.mean()), abs=1e-5)


def test_the_same_games_in_any_order_and_from_either_side_give_the_same_bytes() -> None:
    rows = games(20, STRENGTH)
    first = rank(rows, seed=4, resamples=49).model_dump_json()
    turned = [row.mirrored() if number % 2 else row for number, row in enumerate(rows)]
    random.Random(1).shuffle(turned)
    assert rank(turned, seed=4, resamples=49).model_dump_json() == first
    assert rank(rows, seed=5, resamples=49).model_dump_json() != first


def test_a_model_that_lost_everything_has_a_finite_strength() -> None:
    rows = [won(n, a, b) for n in range(20) for a, b in (("high", "low"), ("middle", "low"))]
    rows += [won(n, *(("high", "middle") if n % 3 else ("middle", "high"))) for n in range(20)]
    last = rank(rows, seed=0, resamples=99).models[-1]
    assert last.model == "low"
    assert last.log_strength.value is not None
    assert last.expected_win_rate.value is not None
    assert 0 < last.expected_win_rate.value < 0.1


def test_outcomes_that_are_all_alike_have_no_interval_rather_than_a_certain_one() -> None:
    rows = [won(n, a, b) for n in range(20) for a, b in (("x", "y"), ("y", "z"), ("x", "z"))]
    for one in rank(rows, seed=0, resamples=99).models:
        assert one.log_strength.value is not None
        assert one.log_strength.interval is None
        assert one.log_strength.reason == "no interval: the outcomes of all prompts are alike"


@pytest.mark.parametrize("rest", [[won(0, "x", "y")], [Outcome("p0", "x", "y", None, "judge_timeout")]])
def test_models_that_share_no_verdict_have_no_strengths_and_the_reason(rest: list[Outcome]) -> None:
    ranking = rank([*games(5, STRENGTH), *rest], seed=0, resamples=9)
    assert len(ranking.models) == 5
    for one in ranking.models:
        assert one.log_strength.value is None
        assert one.log_strength.reason is not None
        assert "share no verdict" in one.log_strength.reason
    assert len(ranking.pairs) == 4


def test_a_single_prompt_has_strengths_without_intervals() -> None:
    ranking = rank(games(1, STRENGTH), seed=0)
    assert all(one.log_strength.interval is None for one in ranking.models)
    assert ranking.prompts == 1


def test_what_one_pair_alone_would_show_is_not_shown_among_three() -> None:
    rows = [won(n, *(("x", "y") if n < 15 else ("y", "x"))) for n in range(20)]
    rest = [won(n, *(pair if n < 10 else pair[::-1])) for n in range(20) for pair in (("x", "z"), ("y", "z"))]
    assert compare(rows, seed=0).difference_shown
    [pair] = [pair for pair in rank([*rows, *rest], seed=0, resamples=9).pairs if pair.model_b == "y"]
    assert pair.win_rate.sign_test.p == pytest.approx(0.0414, abs=1e-4)
    assert pair.p_holm == pytest.approx(3 * 0.0414, abs=1e-3)
    assert not pair.difference_shown
    assert pair.verdict.startswith("no difference shown")
    assert pair.win_rate.interval is not None
    assert 0.5 not in pair.win_rate.interval
    assert pair.verdict.endswith("; p = 0.124 after Holm's correction")


def test_pairs_carry_the_corrected_p_value_and_a_sentence_that_heeds_it() -> None:
    ranking = rank(games(60, STRENGTH), seed=0, resamples=9)
    adjusted = holm({pair.verdict: pair.win_rate.sign_test.p for pair in ranking.pairs})
    for pair in ranking.pairs:
        assert pair.p_holm == adjusted[pair.verdict]
        assert pair.difference_shown != pair.verdict.startswith("no difference shown")


def test_a_model_against_itself_or_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"compare\(\)"):
        rank([Outcome("p", "x", "x", "tie")], seed=0)
    with pytest.raises(ValueError, match="two models"):
        rank([], seed=0)


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_leaves_out_what_is_missing() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": None, "d": 0.03}) == {
        "a": pytest.approx(0.03),
        "b": pytest.approx(0.06),
        "c": None,
        "d": pytest.approx(0.06),
    }
    assert holm({"a": None}) == {"a": None}


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """What is there already is left alone: statsmodels collects garbage in every call."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collections")
@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_correction_lowers_no_p_value_and_leaves_a_single_one_alone(values: list[float]) -> None:
    given_values = {str(index): value for index, value in enumerate(values)}
    for name, p in holm(dict(given_values)).items():
        assert p is not None
        assert given_values[name] - 1e-12 <= p <= 1
    assert holm({"a": values[0]})["a"] == pytest.approx(values[0])
