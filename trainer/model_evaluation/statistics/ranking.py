"""Three or more models in one order: Bradley–Terry strengths with intervals, and every pair corrected by Holm."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from model_evaluation.statistics.bradley_terry import Games
from model_evaluation.statistics.comparison_statistics import ComparisonStatistics, difference_shown, verdict
from model_evaluation.statistics.holm import holm
from model_evaluation.statistics.interval import LEVEL
from model_evaluation.statistics.outcome import Outcome, prompts
from model_evaluation.statistics.statistic import Estimate, Interval, Statistic
from model_evaluation.statistics.win_rate import WinRate, win_rate

RESAMPLES = 999
UNCONNECTED = "some models share no verdict with the others, not even through third ones"


class Ranked(Statistic):
    """One model; `n` counts the prompts in which it has a verdict."""

    model: str
    log_strength: Estimate
    """Natural logarithm of the Bradley–Terry strength; the mean over models is 0."""
    expected_win_rate: Estimate
    """Against the other models on average, 0–1, by the strengths."""


class Pair(Statistic):
    model_a: str
    model_b: str
    verdict: str
    difference_shown: bool
    """The interval leaves ½ out, and the sign test, corrected for the number of pairs, is below 0.05."""
    win_rate: WinRate
    p_holm: float | None


class Ranking(Statistic):
    """Models from the strongest to the weakest, and their pairs in alphabetical order."""

    models: tuple[Ranked, ...]
    pairs: tuple[Pair, ...]
    prompts: int
    seed: int


def rank(outcomes: Sequence[Outcome], seed: int, resamples: int = RESAMPLES) -> Ranking:
    """Rank the models; the same outcomes, in any order, and the same seed give the same bytes of JSON.

    Raises:
        ValueError: fewer than two models, or a model against itself.
    """
    by_pair: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        by_pair[min(one.model_a, one.model_b), max(one.model_a, one.model_b)].append(one)
    if same := [a for a, b in by_pair if a == b]:
        raise ValueError(f"{same[0]} is compared with itself; compare() does that, a ranking cannot")
    models = sorted({name for pair in by_pair for name in pair})
    if len(models) < 2:
        raise ValueError("a ranking needs outcomes of two models at least")
    ordered = {pair: by_pair[pair] for pair in sorted(by_pair)}
    games = Games.of(ordered, models)
    return Ranking(
        models=_ranked(games, seed, resamples), pairs=_pairs(ordered, seed), prompts=games.prompts, seed=seed
    )


def corrected(statistics: Sequence[ComparisonStatistics], ranking: Ranking) -> list[ComparisonStatistics]:
    """Return each pair's statistics with what the ranking, which tests all pairs at once, decides about it."""
    decided = {frozenset((pair.model_a, pair.model_b)): pair for pair in ranking.pairs}
    return [_corrected(one, decided[frozenset((one.model_a, one.model_b))]) for one in statistics]


def _corrected(one: ComparisonStatistics, pair: Pair) -> ComparisonStatistics:
    names = ("verdict", "difference_shown", "p_holm")
    return one.model_copy(update={name: getattr(pair, name) for name in names})


def _ranked(games: Games, seed: int, resamples: int) -> tuple[Ranked, ...]:
    n = [games.prompts_of(index) for index in range(len(games.models))]
    if games.connected:
        values = games.strengths(np.ones(games.prompts))
        bounds = zip(values, *_bounds(games, seed, resamples), n * 2, strict=True)
        found = [_estimate(value, low, high, its, resamples) for value, low, high, its in bounds]
    else:
        found = [Estimate.missing(its, UNCONNECTED) for its in n * 2]
    ranked = [
        Ranked(model=model, log_strength=log, expected_win_rate=rate)
        for model, log, rate in zip(games.models, found[: len(n)], found[len(n) :], strict=True)
    ]
    return tuple(sorted(ranked, key=lambda one: (-(one.log_strength.value or 0.0), one.model)))


def _bounds(games: Games, seed: int, resamples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Resample prompts, each with all of its comparisons; percentile intervals of each strength."""
    size = games.prompts
    if size < 2:
        return np.zeros(2 * len(games.models)), np.zeros(2 * len(games.models))

    def strengths(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        return games.strengths(np.bincount(drawn, minlength=size).astype(np.float64))

    found = bootstrap(
        (np.arange(size),),
        strengths,
        n_resamples=resamples,
        vectorized=False,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return found.low, found.high


def _estimate(value: float, low: float, high: float, n: int, resamples: int) -> Estimate:
    if high - low < 1e-9:  # every resample is the same: that is no certainty
        return Estimate(value=float(value), n=n, reason="no interval: the outcomes of all prompts are alike")
    method = f"percentile bootstrap over prompts, {resamples} resamples"
    return Estimate(value=float(value), n=n, interval=Interval(low=float(low), high=float(high), method=method))


def _pairs(outcomes: dict[tuple[str, str], list[Outcome]], seed: int) -> tuple[Pair, ...]:
    rates = {pair: _win_rate(its, pair[0], seed) for pair, its in outcomes.items()}
    names = {pair: "\n".join(pair) for pair in rates}
    adjusted = holm({names[pair]: rate.sign_test.p for pair, rate in rates.items()})
    return tuple(_pair(pair, rate, adjusted[names[pair]]) for pair, rate in rates.items())


def _pair(models: tuple[str, str], rate: WinRate, p_holm: float | None) -> Pair:
    shown = difference_shown(rate) and p_holm is not None and p_holm < 1 - LEVEL
    sentence = verdict(*models, rate, shown=shown, p_holm=p_holm)
    return Pair(
        model_a=models[0], model_b=models[1], verdict=sentence, difference_shown=shown, win_rate=rate, p_holm=p_holm
    )


def _win_rate(outcomes: Sequence[Outcome], model_a: str, seed: int) -> WinRate:
    complete = prompts(outcomes, model_a)
    return win_rate([one.value for one in complete], seed, len({one.prompt_id for one in outcomes}) - len(complete))
