"""Everything that a judge's verdicts on two models say, beginning with one honest sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence

from model_evaluation.statistics.bias import Bias, bias
from model_evaluation.statistics.detectable_effect import DetectableEffect, detectable_effect
from model_evaluation.statistics.outcome import Outcome, pair, prompts
from model_evaluation.statistics.score_difference import ScoreDifference, score_difference
from model_evaluation.statistics.statistic import Statistic
from model_evaluation.statistics.win_rate import WinRate, win_rate

FEWEST_DECIDED = 6
"""Five wins in five have p = 1/16. The bootstrap does not know: from 3 wins and 47 ties it never draws a loss."""


class ComparisonStatistics(Statistic):
    """Two models on the same prompts. Rates and differences are model_a's view; swapping the models mirrors them."""

    model_a: str
    model_b: str
    verdict: str
    difference_shown: bool
    p_holm: float | None = None
    """Of the sign test, corrected for all pairs of a ranking; None for a pair by itself."""
    win_rate: WinRate
    incomplete_by_status: dict[str, int]
    """Outcomes without a verdict, by the judge server's status."""
    scores: ScoreDifference
    bias: Bias
    detectable_effect: DetectableEffect
    seed: int


def compare(
    outcomes: Sequence[Outcome], seed: int, *, judge: str | None = None, described: Mapping[str, str] | None = None
) -> ComparisonStatistics:
    """Compare two models; the same outcomes, in any order, and the same seed give the same bytes of JSON.

    Args:
        outcomes: of one pair of models, seen from either side; the first one says which is model_a.
        seed: of the bootstrap and the permutation test, ≥ 0.
        judge: the judging model's name, to warn if it is kin to a contestant.
        described: by what kinship is told, by the models' names; where there is nothing, by the name.

    Raises:
        ValueError: no outcomes, or of more than one pair.
    """
    model_a, model_b = pair(outcomes)
    complete = prompts(outcomes, model_a)
    incomplete = len({one.prompt_id for one in outcomes}) - len(complete)
    rate = win_rate([prompt.value for prompt in complete], seed, incomplete)
    known_as = [(described or {}).get(name, name) for name in (model_a, model_b)]
    failures = Counter(one.status for one in outcomes if one.winner is None)
    return ComparisonStatistics(
        model_a=model_a,
        model_b=model_b,
        verdict=verdict(model_a, model_b, rate, shown=difference_shown(rate)),
        difference_shown=difference_shown(rate),
        win_rate=rate,
        incomplete_by_status=dict(sorted(failures.items())),
        scores=score_difference([prompt.scores for prompt in complete], seed),
        bias=bias(complete, known_as, judge, seed),
        detectable_effect=detectable_effect(rate.n),
        seed=seed,
    )


def difference_shown(rate: WinRate) -> bool:
    """Tell whether the interval leaves ½ out, and enough prompts were decided for that to mean something."""
    return rate.interval is not None and 0.5 not in rate.interval and rate.wins + rate.losses >= FEWEST_DECIDED


def verdict(model_a: str, model_b: str, rate: WinRate, *, shown: bool, p_holm: float | None = None) -> str:
    """Return the sentence at the top of a report, with the figures it rests on, from the winner's side.

    Args:
        shown: whether a difference was shown; what decides that is another matter for one pair than for several.
        p_holm: the corrected p-value, if that is what decided.
    """
    if rate.rate is None or rate.interval is None:
        return f"no difference shown: none of {rate.incomplete} comparisons of {model_a} and {model_b} is complete"
    share, low, high, wins, losses = rate.rate, rate.interval.low, rate.interval.high, rate.wins, rate.losses
    if shown and share < 0.5:
        model_a, model_b, wins, losses = model_b, model_a, losses, wins
        share, low, high = 1 - share, 1 - high, 1 - low
    figures = (
        f"win rate {share:.1%} [{low:.1%}, {high:.1%}] against {model_b} on {rate.n} prompts "
        f"({wins} won, {rate.ties} tied, {losses} lost; {rate.incomplete} incomplete)"
    )
    if shown:
        return f"{model_a} won: {figures}"
    return f"no difference shown: {model_a} has {figures}{_because(rate, p_holm)}"


def _because(rate: WinRate, p_holm: float | None) -> str:
    """Return why nothing is shown although the interval leaves ½ out; empty where it contains ½."""
    if rate.interval is None or 0.5 in rate.interval:
        return ""
    decided = rate.wins + rate.losses
    if decided < FEWEST_DECIDED:
        were = "prompt was" if decided == 1 else "prompts were"
        return f"; only {decided} {were} decided, fewer than {FEWEST_DECIDED}"
    return "" if p_holm is None else f"; p = {p_holm:.3g} after Holm's correction"
