"""Whether answers keep a format of tags, such as <think>…</think><score>…</score>."""

from collections.abc import Sequence

from model_evaluation.answers.completion import Completion
from model_evaluation.statistics.position import share
from model_evaluation.statistics.statistic import Estimate
from reward_server.rewards.format_tags import FormatTags


def kept(tags: Sequence[str], completions: Sequence[Completion]) -> Estimate:
    """Return the share of answers that have every tag once, closed, in order; failed ones do not count.

    The rule is that of the reward `format_tags`, which trains for it.
    """
    rule = FormatTags(tags=tuple(tags))
    hits = [rule.graded(one.text).value == 1 for one in completions if one.text is not None]
    return share(hits, "the model has no completions")
