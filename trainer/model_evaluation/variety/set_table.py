"""The metrics of every prompt's set of completions, for every model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from long_work.progress import Progress
from model_evaluation.answers.completions import Draws
from model_evaluation.variety import set_metrics
from model_evaluation.variety.set_metrics import Metrics

if TYPE_CHECKING:
    from reward_server.rewards.variety.cosine import Vectors

BATCH = 64
Table = list[Metrics]
"""A row a prompt."""


def measured(draws: Sequence[Draws], vocabulary: int, *, embed: bool) -> list[Table]:
    """Return one table a model; a set of which a completion failed has no metrics.

    A smaller set is as if it were more varied: the fewer the texts, the fewer the words they share.

    Args:
        embed: whether to embed the completions, for the semantic metrics.
    """
    vectors = embedded({text for made in draws for row in whole_sets(made) for text in row}) if embed else None
    return [[_of_set(row, vocabulary, vectors) for row in whole_sets(made)] for made in draws]


def whole_sets(made: Draws) -> list[list[str]]:
    """Return the texts of every prompt; none where one of them failed."""
    sets = [[one.text for one in row if one.text is not None] for row in made.completions]
    return [texts if len(texts) == len(row) else [] for texts, row in zip(sets, made.completions, strict=True)]


def embedded(wanted: set[str]) -> dict[str, "Vectors"]:
    """Return the unit embedding of every different text, (384,) each, by the reward server's own encoder."""
    from reward_server.rewards.embeddings import Embeddings

    encoder = Embeddings()
    encoder.load()
    ordered = sorted(wanted, key=lambda text: (len(text), text))
    found: dict[str, Vectors] = {}
    with Progress("embeddings", len(ordered)) as stage:
        for some in (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)):
            found |= dict(zip(some, encoder.embed(some), strict=True))
            stage.advance(len(some))
    return found


def _of_set(row: Sequence[str], vocabulary: int, vectors: "Mapping[str, Vectors] | None") -> Metrics:
    import numpy as np

    found = set_metrics.lexical(row, vocabulary)
    if vectors is None:
        return found
    stacked = np.stack([vectors[text] for text in row]) if row else np.empty((0, 1))
    return {**found, **set_metrics.semantic(stacked)}
