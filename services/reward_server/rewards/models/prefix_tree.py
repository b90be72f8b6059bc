"""Sequences of token ids as a tree of the prefixes they share, so that each is computed once."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Tokens = tuple[int, ...]


@dataclass(slots=True)
class Leaf:
    """What one sequence has for itself, at least its last token; `index` is its place in the list."""

    tokens: Tokens
    index: int


@dataclass(slots=True)
class Node:
    """Tokens that everything below begins with, behind those of the nodes above."""

    tokens: Tokens
    children: list["Node"] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)

    def size(self) -> int:
        """Return the tokens of the whole tree: what is computed."""
        return sum(len(one.tokens) for one in self.nodes()) + sum(
            len(leaf.tokens) for one in self.nodes() for leaf in one.leaves
        )

    def nodes(self) -> Iterator["Node"]:
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += node.children


def grow(sequences: Sequence[Tokens], worth: int) -> Node:
    """Return the tree of some distinct, non-empty sequences; its root holds no tokens.

    A shared prefix becomes a node only where that saves `worth` tokens: a node is a model call of its own, and calls
    cost something beside their tokens. Every sequence keeps its last token in a leaf, also when it is the beginning
    of another: what is wanted is the prediction behind it.

    Raises:
        ValueError: a sequence is empty.
    """
    if not all(sequences):
        raise ValueError("a sequence without tokens has no next token")
    order = sorted(range(len(sequences)), key=lambda index: sequences[index][:-1])
    keys = [sequences[index][:-1] for index in order]
    shared = [_common(one, other) for one, other in pairwise(keys)]
    root = Node(())
    work = [(root, 0, 0, len(keys))] if keys else []
    while work:
        parent, depth, low, high = work.pop()
        if high - low == 1:
            parent.leaves.append(Leaf(sequences[order[low]][depth:], order[low]))
            continue
        common = min(shared[low : high - 1])
        cuts = [low, *(i + 1 for i in range(low, high - 1) if shared[i] == common), high]
        if (common - depth) * (len(cuts) - 2) >= worth:
            node = Node(keys[low][depth:common])
            parent.children.append(node)
            parent, depth = node, common
        work += [(parent, depth, start, end) for start, end in pairwise(cuts)]
    return root


def _common(one: Tokens, other: Tokens) -> int:
    limit = min(len(one), len(other))
    return bisect_left(range(1, limit + 1), True, key=lambda length: one[:length] != other[:length])
