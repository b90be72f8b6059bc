"""The chance that at least one of k completions is right, from n ≥ k that were drawn."""

from fractions import Fraction
from math import comb

CEILING_FIRST, CEILING_ANY = 0.6, 0.97


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return 1 - C(n-c, k)/C(n, k), the unbiased estimate of pass@k (Chen et al. 2021), in [0, 1].

    1 - (1 - c/n)^k is biased: it draws with replacement from the few completions that there are.

    Args:
        n: completions that were checked.
        c: those of them that are right.

    Raises:
        ValueError: k > n, of which nothing can be said without bias, or the counts contradict each other.
    """
    if not 0 <= c <= n or k < 1:
        raise ValueError(f"{c} right of {n}, k = {k}: these are no counts")
    if k > n:
        raise ValueError(f"pass@{k} needs {k} completions of a prompt; there are {n}")
    return float(1 - Fraction(comb(n - c, k), comb(n, k)))


def at_ceiling(first: float | None, any_of_k: float | None) -> bool:
    """Return whether prompts are too easy to tell models apart: most are solved at once, and nearly all by some."""
    if first is None or any_of_k is None:
        return False
    return first > CEILING_FIRST and any_of_k > CEILING_ANY
