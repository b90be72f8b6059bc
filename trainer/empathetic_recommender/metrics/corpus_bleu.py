"""BLEU-k of a corpus in the two variants that papers confuse: of order k alone, and of all orders up to k."""

from collections.abc import Sequence


def bleu_k(
    replies: Sequence[str], references: Sequence[str], orders: Sequence[int] = (1, 2, 3, 4)
) -> dict[str, float | None]:
    """Return `bleu_k.single` and `bleu_k.cumulative` in [0, 1], one reference a reply; None without any k-gram.

    sacrebleu counts (13a tokens, no smoothing). single: brevity penalty · precision of the k-grams. cumulative: brevity
    penalty · geometric mean of the precisions of orders 1 to k.

    Raises:
        ValueError: there are no replies, or not as many references.
    """
    from sacrebleu.metrics.bleu import BLEU

    if not replies or len(replies) != len(references):
        raise ValueError(f"{len(replies)} replies and {len(references)} references: one of each a row, at least one")
    found: dict[str, float | None] = {}
    for k in orders:
        score = BLEU(max_ngram_order=k, smooth_method="none").corpus_score(list(replies), [list(references)])
        there = score.totals[k - 1] > 0
        found[f"bleu_{k}.single"] = score.bp * score.precisions[k - 1] / 100 if there else None
        found[f"bleu_{k}.cumulative"] = min(1.0, score.score / 100) if there else None  # a match is 100.00000000000004
    return found
