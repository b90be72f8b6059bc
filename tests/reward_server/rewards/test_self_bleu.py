import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from reward_server.rewards.variety.ngrams import NgramCounts
from reward_server.rewards.variety.self_bleu import against_others, self_bleu

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=2, max_size=6)


def nltk_against_others(group: list[list[str]], order: int) -> list[float]:
    smooth = SmoothingFunction().method1
    weights = (1 / order,) * order
    return [
        sentence_bleu([*group[:i], *group[i + 1 :]], text, weights, smoothing_function=smooth)
        for i, text in enumerate(group)
    ]


@settings(max_examples=300)
@given(texts, st.sampled_from([1, 2, 3, 4]))
def test_bleu_against_the_others_equals_nltk(group: list[list[str]], order: int) -> None:
    scores, expected = against_others(NgramCounts(group), order), nltk_against_others(group, order)
    assert scores == pytest.approx(expected, rel=0, abs=1e-12)
    assert self_bleu(scores) == pytest.approx(math.fsum(expected) / len(group), rel=0, abs=1e-12)


def test_self_bleu_is_1_for_copies_and_undefined_for_one_text() -> None:
    text = ["a", "b", "c", "d", "e"]
    assert self_bleu(against_others(NgramCounts([text] * 3), 4)) == pytest.approx(1)
    assert self_bleu(against_others(NgramCounts([text]), 4)) is None
