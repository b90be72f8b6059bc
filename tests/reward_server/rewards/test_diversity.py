import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from reward_server.rewards import Item
from reward_server.rewards.diversity import (
    Diversity,
    distinct,
    leave_one_out,
    novelty,
    self_bleu,
    semantic,
    semantic_own,
    tokens,
)

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=2, max_size=6)


def nltk_self_bleu(group: list[list[str]], order: int) -> float:
    smooth = SmoothingFunction().method1
    weights = (1 / order,) * order
    scores = [
        sentence_bleu([*group[:i], *group[i + 1 :]], text, weights, smoothing_function=smooth)
        for i, text in enumerate(group)
    ]
    return math.fsum(scores) / len(scores)


@settings(max_examples=300)
@given(texts, st.sampled_from([2, 4]))
def test_self_bleu_equals_nltk(group: list[list[str]], order: int) -> None:
    assert self_bleu(group, order) == pytest.approx(nltk_self_bleu(group, order), abs=1e-12)


def test_self_bleu_is_1_for_copies_and_undefined_for_one_text() -> None:
    assert self_bleu([tokens("a b c d e")] * 3, 4) == pytest.approx(1)
    assert self_bleu([tokens("a b c d e")], 4) is None


@given(texts, st.integers(1, 4))
def test_distinct_counts_what_brute_force_counts(group: list[list[str]], n: int) -> None:
    grams = [tuple(words[i : i + n]) for words in group for i in range(len(words) - n + 1)]
    assert distinct(group, n) == (len(set(grams)) / len(grams) if grams else None)


@given(texts)
def test_leave_one_out_is_the_change_of_distinct_when_the_text_is_taken_away(group: list[list[str]]) -> None:
    whole = distinct(group, 2)
    for i, change in enumerate(leave_one_out(group, 2)):
        others = distinct(group[:i] + group[i + 1 :], 2)
        assert (change is None) == (others is None)
        if change is not None and whole is not None and others is not None:
            assert change == pytest.approx(whole - others)


@given(texts)
def test_novelty_is_0_for_a_text_with_a_twin(group: list[list[str]]) -> None:
    assert novelty([*group, group[0]])[0] == 0


@given(st.integers(2, 8), st.integers(0, 1000))
def test_semantic_equals_the_mean_over_pairs(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - float(a @ b) for a, b in itertools.combinations(vectors, 2)]
    assert semantic(vectors) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert np.mean(semantic_own(vectors)) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_members_of_one_group_earn_their_own_contribution() -> None:
    group = [Item("p", text) for text in ("a red car on a hill", "a red car on a hill", "two dogs sleep under trees")]
    values = [score.value for score in Diversity().score(group)]
    assert values == [0, 0, 1]


def test_a_group_of_one_is_undefined_and_not_zero() -> None:
    [score] = Diversity().score([Item("p", "alone")])
    assert (score.value, score.status) == (None, "invalid_input")


def test_components_that_are_undefined_are_null_with_a_reason() -> None:
    [first, _] = Diversity().score([Item("p", "one"), Item("p", "two")])
    assert first.components["distinct_2"] is None
    assert "distinct_2" in first.notes


def test_the_order_of_the_group_does_not_change_a_members_score() -> None:
    group = [Item("p", text) for text in ("a b c d", "a b c e", "x y", "")]
    forward = [score.value for score in Diversity().score(group)]
    backward = [score.value for score in Diversity().score(group[::-1])]
    assert forward == backward[::-1]


def test_semantic_components_exist_only_when_they_are_asked_for() -> None:
    assert Diversity().texts(Item("p", "a")) == []
    assert Diversity(value="semantic").texts(Item("p", "a")) == ["a"]
    assert "semantic" not in Diversity().served_components()
