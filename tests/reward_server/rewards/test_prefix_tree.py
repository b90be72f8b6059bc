import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards.models.prefix_tree import Node, Tokens, grow

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), unique=True, max_size=12)
worths = st.integers(1, 8)


def paths(node: Node, before: Tokens = ()) -> dict[int, tuple[Tokens, Tokens]]:
    """Return per sequence what its nodes hold together, and what its leaf holds."""
    here = before + node.tokens
    found = {leaf.index: (here, leaf.tokens) for leaf in node.leaves}
    for child in node.children:
        found |= paths(child, here)
    return found


@given(sequences, worths)
def test_every_sequence_is_the_path_to_its_leaf(some: list[Tokens], worth: int) -> None:
    found = paths(grow(some, worth))
    assert [sum(found[index], ()) for index in range(len(some))] == some


@given(sequences, worths)
def test_every_sequence_keeps_its_last_token_to_itself(some: list[Tokens], worth: int) -> None:
    assert all(own for _, own in paths(grow(some, worth)).values())


@given(sequences, worths)
def test_every_node_saves_what_a_call_is_worth(some: list[Tokens], worth: int) -> None:
    tree = grow(some, worth)
    inner = [node for node in tree.nodes() if node is not tree]
    assert all(len(node.tokens) * (len(node.children) + len(node.leaves) - 1) >= worth for node in inner)


@given(sequences, worths)
def test_a_tree_never_computes_more_than_the_sequences_hold(some: list[Tokens], worth: int) -> None:
    assert grow(some, worth).size() <= sum(map(len, some))


@given(sequences)
def test_nothing_is_shared_when_sharing_is_worth_nothing(some: list[Tokens]) -> None:
    tree = grow(some, 10_000)
    assert (tree.children, tree.size()) == ([], sum(map(len, some)))


def test_a_transcript_its_extension_and_their_pairs_share_at_every_level() -> None:
    base, extension = tuple(range(100)), tuple(range(200, 230))
    pairs = [(300, 1), (301, 2), (302, 3)]
    tree = grow([*(base + pair for pair in pairs), *(base + extension + pair for pair in pairs)], worth=10)
    [transcript] = tree.children
    [extended] = transcript.children
    assert (transcript.tokens, extended.tokens) == (base, extension)
    assert (len(transcript.leaves), len(extended.leaves)) == (3, 3)


def test_a_sequence_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="without tokens"):
        grow([(1,), ()], worth=1)
