"""How far apart unit vectors lie: mean cosine distances in linear time, and the Vendi score."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Vectors = NDArray[np.floating[Any]]


def stacked(vectors: "Sequence[Vectors]") -> "Vectors":
    """Return vectors of (d,) as one array (n, d); several times faster than np.stack for thousands."""
    return np.concatenate(vectors).reshape(len(vectors), -1)


def semantic(vectors: "Vectors") -> float:
    """Return the mean over pairs of 1 - cosine of n ≥ 2 unit vectors (n, d), in [0, 2]: 1 - (‖Σe‖² - n)/(n(n-1))."""
    n = len(vectors)
    total = vectors.sum(axis=0, dtype=np.float64)
    return _bounded([1 - (total @ total - n) / (n * (n - 1))])[0]


def semantic_own(vectors: "Vectors") -> list[float]:
    """Return per unit vector of n ≥ 2, (n, d), 1 - its mean cosine to the others, in [0, 2]."""
    along, _ = _along_the_sum(vectors)
    return _bounded(1 - (along - 1) / (len(vectors) - 1))


def semantic_leave_one_out(vectors: "Vectors") -> list[float | None]:
    """Return per unit vector by how much `semantic` of the others lies below that of all; None where one is left."""
    n = len(vectors)
    if n < 3:
        return [None] * n
    along, square = _along_the_sum(vectors)
    whole = semantic(vectors)
    left = _bounded(1 - (square - 2 * along + 1 - (n - 1)) / ((n - 1) * (n - 2)))
    return [whole - one for one in left]


def vendi(vectors: "Vectors") -> float:
    """Return the effective number of distinct texts, in [1, n]: exp of the entropy of the eigenvalues of K/n.

    K holds the cosines of the n unit vectors (n, d) (Friedman & Dieng 2023). Where d < n the d×d matrix XᵀX/n is used:
    its eigenvalues are the same but for zeros.
    """
    n, d = vectors.shape
    exact = vectors.astype(np.float64)
    gram = exact.T @ exact if d < n else exact @ exact.T
    values = np.linalg.eigvalsh(gram / np.trace(gram))
    values = values[values > 0]
    return min(float(n), max(1.0, math.exp(-float(values @ np.log(values)))))


def _along_the_sum(vectors: "Vectors") -> "tuple[NDArray[np.float64], float]":
    """Return each vector's product with the sum of all, (n,), and that sum's square."""
    total = vectors.sum(axis=0, dtype=np.float64)
    # Not `@`: where cores are scarce BLAS's threads wait for one another longer than this takes.
    return np.einsum("nd,d->n", vectors, total), float(total @ total)


def _bounded(distances: "ArrayLike") -> list[float]:
    """Return distances without their rounding error: unit vectors in float32 are that to seven digits."""
    bounded: list[float] = np.clip(distances, 0.0, 2.0).tolist()
    return bounded
