import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.rewards.variety.clusters import by_cosine, near_duplicates

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), max_size=10)
thresholds = st.sampled_from([Fraction(tenths, 20) for tenths in (2, 5, 10, 14, 16, 20)])


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)} or {tuple(words)}


def jaccard(one: str, other: str) -> Fraction:
    return Fraction(len(shingles(one) & shingles(other)), len(shingles(one) | shingles(other)))


def partition(clusters: list[int]) -> set[frozenset[int]]:
    return {frozenset(i for i, one in enumerate(clusters) if one == cluster) for cluster in clusters}


def components(count: int, pairs: set[tuple[int, int]]) -> set[frozenset[int]]:
    """Connected components, by merging until nothing changes."""
    found = [{i} for i in range(count)]
    for one, other in pairs:
        joined = next(some for some in found if one in some) | next(some for some in found if other in some)
        found = [some for some in found if not some & joined] + [joined]
    return {frozenset(some) for some in found}


@settings(max_examples=300)
@given(texts, thresholds)
def test_near_duplicates_are_the_components_of_all_similar_pairs(group: list[str], threshold: Fraction) -> None:
    pairs = {(i, j) for j in range(len(group)) for i in range(j) if jaccard(group[i], group[j]) >= threshold}
    assert partition(near_duplicates(group, float(threshold))) == components(len(group), pairs)


@given(st.integers(1, 12), st.sampled_from([-0.5, 0.0, 0.5, 0.9]), st.integers(0, 1000))
def test_clusters_by_cosine_are_the_components_of_all_similar_pairs(count: int, threshold: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = {(i, j) for j in range(count) for i in range(j) if float(vectors[i] @ vectors[j]) >= threshold}
    assert partition(by_cosine(vectors, threshold)) == components(count, pairs)


@given(texts, st.randoms(use_true_random=False))
def test_the_order_of_the_texts_changes_no_cluster(group: list[str], chance: random.Random) -> None:
    order = list(range(len(group)))
    chance.shuffle(order)
    shuffled = near_duplicates([group[i] for i in order], 0.5)
    back = partition([shuffled[order.index(i)] for i in range(len(group))])
    assert back == partition(near_duplicates(group, 0.5))


def test_case_and_punctuation_do_not_make_another_text() -> None:
    assert len(set(near_duplicates(["Paris.", "paris", "PARIS!", "London"], 1.0))) == 2


def test_one_word_of_thirty_does_not_make_another_text_and_one_of_five_does() -> None:
    long, short = [f"word{i}" for i in range(30)], ["a", "b", "c", "d", "e"]
    for words, clusters in ((long, 1), (short, 2)):
        changed = [*words[:2], "other", *words[3:]]
        assert len(set(near_duplicates([" ".join(words), " ".join(changed)], 0.7))) == clusters


def test_copies_belong_together_even_at_a_cosine_of_1() -> None:
    vector = np.random.default_rng(0).normal(size=384).astype(np.float32)
    vector /= np.linalg.norm(vector)
    assert by_cosine(np.stack([vector] * 3), 1.0) == [0, 0, 0]


def test_a_chain_of_similar_texts_is_one_cluster() -> None:
    angles = np.linspace(0, np.pi, 20)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert all(one @ other > 0.98 for one, other in pairwise(vectors))
    assert set(by_cosine(vectors, 0.98)) == {0}


@pytest.mark.parametrize("group", [[], ["alone"], ["", "!?"]])
def test_texts_without_words_are_clustered_too(group: list[str]) -> None:
    assert len(near_duplicates(group, 0.7)) == len(group)
