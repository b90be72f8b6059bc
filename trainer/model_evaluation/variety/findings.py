"""The findings of `guerdon diversity` in sentences: which arms differ from the baseline, and at which quality."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_evaluation.report.figure import number
from model_evaluation.statistics.arm_difference import ArmDifference
from model_evaluation.statistics.statistic import Estimate
from model_evaluation.variety.run_record import RunRecord
from model_evaluation.variety.set_metrics import HEADLINE

MANY_CUT_OFF = 0.1
"""A share of completions that ran into max_tokens above which the reader is warned."""
QUALITY = "quality."

Against = Mapping[str, Sequence[ArmDifference]]
"""By metric, every arm against the baseline."""
Means = Mapping[str, Mapping[str, Estimate]]


def headlines(baseline: str, arms: Sequence[str], against: Against, means: Means, margin: float) -> list[str]:
    """Return a sentence an arm; the baseline has none."""
    return [_sentence(arm, baseline, against, means, margin) for arm in arms if arm != baseline]


def differing(baseline: str, arms: Sequence[str], against: Against) -> dict[str, list[str]]:
    """Return by arm the metrics in which a difference from the baseline is shown."""
    return {
        arm: [metric for metric, found in against.items() for one in found if one.a == arm and one.shown]
        for arm in arms
        if arm != baseline
    }


def warnings(arms: Sequence[Mapping[str, Any]], records: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Return what the reader has to know beside the numbers."""
    found = []
    for arm in arms:
        name, completions = arm["name"], arm["completions"]
        if len(arm["seeds"]) == 1 and len(arms) > 1:
            found.append(f"{name} is one model: what is said of it holds for that model, not for another run like it")
        if arm["failed"]:
            found.append(
                f"{arm['failed']} of {completions} completions of {name} failed; sets that lack one "
                f"({arm['broken_sets']}) have no diversity, because a smaller set is as if it were more varied"
            )
        if arm["unscored"]:
            found.append(f"{arm['unscored']} completions of {name} have no score; the quality is of the others")
        if arm["cut_off"] > MANY_CUT_OFF * completions:
            found.append(f"{arm['cut_off']} of {completions} completions of {name} ran into --max-tokens")
        if arm["empty"]:
            found.append(f"{arm['empty']} of {completions} completions of {name} are empty")
        if len({one.steps for one in records[name]}) > 1:
            found.append(f"the runs of {name} are of different lengths: {', '.join(map(str, arm['steps']))} steps")
    return found


def _sentence(arm: str, baseline: str, against: Against, means: Means, margin: float) -> str:
    of_arm = {metric: one for metric, found in against.items() for one in found if one.a == arm}
    shown = [metric for metric in of_arm if of_arm[metric].shown and not metric.startswith(QUALITY)]
    said = ", ".join(
        f"{metric} {number(means[arm][metric].value, 3)} against {number(means[baseline][metric].value, 3)} "
        f"({signed(of_arm[metric])})"
        for metric in HEADLINE
        if metric in of_arm
    )
    qualities = [_quality(metric, one, margin) for metric, one in of_arm.items() if metric.startswith(QUALITY)]
    headline = [metric for metric in HEADLINE if metric in shown]
    verdict = (
        f"{arm} differs from {baseline} in {' and '.join(headline)}"
        if headline
        else f"{arm} differs from {baseline} in {', '.join(shown)} only"
        if shown
        else f"no difference between {arm} and {baseline} is shown in any metric of diversity"
    )
    return "; ".join([f"{verdict}: {said}", *qualities])


def _quality(metric: str, one: ArmDifference, margin: float) -> str:
    """Return whether two qualities are equal, which takes an interval within the margin, not a missing difference."""
    name, interval = metric.removeprefix(QUALITY), one.wider
    if one.difference.value is None:
        return f"{name} is not known: {one.difference.reason}"
    if interval is None:
        return f"{name} {signed(one)}"
    if -margin <= interval.low and interval.high <= margin:
        return f"{name} is equal within ±{margin:g} ({signed(one)})"
    if one.shown:
        return f"{name} differs ({signed(one)})"
    return f"{name} may differ by more than {margin:g} ({signed(one)})"


def signed(one: ArmDifference) -> str:
    """Return a difference with its sign and its wider interval."""
    value, interval = one.difference.value, one.wider
    shown = "–" if value is None else f"{value:+.3f}".replace("-", "−")
    return shown if interval is None else f"{shown} [{number(interval.low, 3)}, {number(interval.high, 3)}]"
