"""dist_n, of which there are two: distinct n-grams per reply, and distinct n-grams by n-grams."""

import re
from collections.abc import Sequence

WORD = re.compile(r"\w+|[^\w\s]")


def dist_n(replies: Sequence[str], orders: Sequence[int] = (1, 2, 3)) -> dict[str, float | None]:
    """Return `dist_n.per_sentence` and `dist_n.ratio` over all replies, lower-cased words and marks as tokens.

    per_sentence: distinct n-grams of all replies, by the replies (above 1 as a rule; papers on conversational
    recommendation report it). ratio: the same by all n-grams (Li et al. 2016). N-grams never cross replies. None where
    there is no n-gram, or no reply.
    """
    words = [WORD.findall(reply.lower()) for reply in replies]
    found: dict[str, float | None] = {}
    for n in orders:
        grams = [tuple(text[place : place + n]) for text in words for place in range(len(text) - n + 1)]
        found[f"dist_{n}.per_sentence"] = len(set(grams)) / len(replies) if grams else None
        found[f"dist_{n}.ratio"] = len(set(grams)) / len(grams) if grams else None
    return found
