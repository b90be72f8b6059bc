"""The cores of one CPU: a thread for each, with a share of a batch's sequences of its own."""

import heapq
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

PART_TOKENS = 1024
"""What one thread computes at once: of fewer, streaming the weights takes a noticeable part of the time; of more, none
of the activations stay in the cache."""
ALONE_TOKENS = 64
"""Work too small to be shared."""


class Cores:
    """Threads that each compute by themselves, on one core.

    Two cores on one matrix wait for one another at the end of every operation, and for whatever else the machine runs
    on either; two threads with a matrix each do not. Measured with MiniLM: a tenth more sequences a second.
    """

    def __init__(self, count: int) -> None:
        import torch

        self.count = count
        ready = Barrier(count + 1)

        def start() -> None:
            torch.get_num_threads()  # a thread takes the process's default when it is first asked, unless it was before
            torch.set_num_threads(1)
            ready.wait()

        self._pool = ThreadPoolExecutor(count, thread_name_prefix="core", initializer=start)
        for _ in range(count):
            self._pool.submit(int)
        ready.wait()
        torch.set_num_threads(count)  # a thread's setting is also the default of threads to come

    def map(self, run: Callable[[In], Out], shares: Sequence[In]) -> list[Out]:
        """Return `run` of every share, in order. A single share gets all cores."""
        if len(shares) == 1:
            return [run(shares[0])]
        return list(self._pool.map(run, shares))


@cache
def cores() -> Cores:
    """Return the threads of this process: as many as torch was told to use when they were first asked for."""
    import torch

    return Cores(torch.get_num_threads())


def parts(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Share sequences out: the indices of each part, as many parts as keep `count` threads equally busy.

    Longest first, each to the part with the fewest tokens so far (Graham 1969): no part exceeds the mean by more than
    one sequence.
    """
    total = sum(lengths)
    if total <= ALONE_TOKENS or len(lengths) == 1:
        return [list(range(len(lengths)))]
    number = min(len(lengths), count * math.ceil(total / (count * PART_TOKENS)))
    shares: list[list[int]] = [[] for _ in range(number)]
    loads = [(0, part) for part in range(number)]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        load, part = loads[0]
        shares[part].append(index)
        heapq.heapreplace(loads, (load + lengths[index], part))
    return shares
