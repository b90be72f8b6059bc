"""Pairs of items that a persona's preferences are asked about: drawn by a seed, each in a place of its own."""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple


class ItemPair(NamedTuple):
    """Two items in the order of their file, and whether they are shown the other way round."""

    first: str
    second: str
    exchanged: bool

    def shown(self) -> list[str]:
        return [self.second, self.first] if self.exchanged else [self.first, self.second]


def drawn(items: Sequence[str], count: int, seed: int) -> list[ItemPair]:
    """Return `count` different pairs of items, or all there are; half of them, rounded down, exchanged.

    The same seed draws the same pairs. Half exchanged: else whatever the file lists first would always be option A.
    """
    generator = random.Random(seed)
    total = len(items) * (len(items) - 1) // 2
    ranks = generator.sample(range(total), min(count, total))
    exchanged = set(generator.sample(range(len(ranks)), len(ranks) // 2))
    return [_pair(items, rank, place in exchanged) for place, rank in enumerate(ranks)]


def _pair(items: Sequence[str], rank: int, exchanged: bool) -> ItemPair:
    """Return the pair at `rank` of (0, 1), (0, 2), (1, 2), (0, 3), …"""
    second = (1 + math.isqrt(8 * rank + 1)) // 2
    return ItemPair(items[rank - second * (second - 1) // 2], items[second], exchanged)
