from collections.abc import Callable

import numpy as np
import pytest
import sacrebleu
from hypothesis import assume, given
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu
from sklearn.metrics import ndcg_score, roc_auc_score

from empathetic_recommender.metrics.auc import auc_global
from empathetic_recommender.metrics.corpus_bleu import bleu_k
from empathetic_recommender.metrics.distinct import dist_n
from empathetic_recommender.metrics.ranking import Ranked, mrr_at, ndcg_at, ranked, ranking_metrics, recall_at

SCORES = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 1000).map(float), min_size=2, max_size=10)


@given(SCORES, st.sets(st.sampled_from("abcdefghij"), min_size=1), st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn(scores: dict[str, float], chosen: set[str], k: int) -> None:
    relevant = chosen & set(scores)
    assume(relevant)
    assume(len(set(scores.values())) == len(scores))  # scikit-learn averages over ties
    truth = [[float(item in relevant) for item in scores]]

    assert ndcg_at(ranked(scores), relevant, k) == pytest.approx(ndcg_score(truth, [list(scores.values())], k=k))


@given(SCORES, st.sets(st.sampled_from("abcdefghij"), min_size=1))
def test_recall_grows_with_k_and_mrr_is_the_inverse_of_the_first_hit(
    scores: dict[str, float], chosen: set[str]
) -> None:
    items, relevant = ranked(scores), chosen & set(scores)
    assume(relevant)
    recalls = [recall_at(items, relevant, k) or 0.0 for k in range(1, len(items) + 1)]

    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
    assert mrr_at(items, relevant, len(items)) == 1 / (1 + min(items.index(item) for item in relevant))


def test_rt_counts_liked_items_only_and_rows_without_any_are_in_no_mean() -> None:
    rows = [Ranked("abcd", {"a", "d"}, {"d"}), Ranked("abcd", {"b"}, set())]
    found = ranking_metrics(rows, ks=(1, 4))

    assert found["RT@1"] == 0.0
    assert found["RT@4"] == 1.0
    assert found["recall@1"] == 0.25
    assert ranking_metrics([Ranked("ab", set())], ks=(1,))["recall@1"] is None


@given(st.lists(st.tuples(st.integers(0, 5).map(float), st.booleans()), min_size=2, max_size=50))
def test_the_global_auc_is_that_of_scikit_learn_ties_included(pairs: list[tuple[float, bool]]) -> None:
    scores, hits = zip(*pairs, strict=True)
    if len(set(hits)) < 2:
        assert auc_global(scores, hits) is None
    else:
        assert auc_global(scores, hits) == pytest.approx(roc_auc_score(hits, scores))


def test_the_mean_of_the_auc_of_batches_is_another_number() -> None:
    scores, hits = [0.9, 0.8, 0.2, 0.1], [True, False, True, False]
    halves = np.mean([roc_auc_score(hits[:2], scores[:2]), roc_auc_score(hits[2:], scores[2:])])

    assert auc_global(scores, hits) == 0.75
    assert halves == 1.0


REPLIES = ["the cat sat on the mat today", "a dog barked at the old postman"]
REFERENCES = ["the cat sat on a mat today", "the dog barked at the postman again"]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_cumulative_bleu_is_that_of_sacrebleu_and_nltk_and_single_that_of_nltk(k: int) -> None:
    found = bleu_k(REPLIES, REFERENCES)
    texts, references = [text.split() for text in REPLIES], [[text.split()] for text in REFERENCES]
    alone = tuple(float(order == k) for order in range(1, 5))
    whole = sacrebleu.BLEU(max_ngram_order=k, smooth_method="none").corpus_score(REPLIES, [REFERENCES]).score / 100

    assert found[f"bleu_{k}.cumulative"] == pytest.approx(whole)
    assert found[f"bleu_{k}.cumulative"] == pytest.approx(corpus_bleu(references, texts, weights=[1 / k] * k), abs=1e-9)
    assert found[f"bleu_{k}.single"] == pytest.approx(corpus_bleu(references, texts, weights=alone), abs=1e-9)


def test_bleu_of_replies_without_a_k_gram_is_undefined_and_that_of_the_reference_is_1_and_no_more() -> None:
    short = bleu_k(["a b", "c"], ["a b", "c d"])
    same = bleu_k(["the cat sat on the mat"], ["the cat sat on the mat"])

    assert short["bleu_1.single"] is not None
    assert [short[f"bleu_3.{kind}"] for kind in ("single", "cumulative")] == [None, None]
    assert max(value for value in same.values() if value is not None) == 1.0


@pytest.mark.parametrize("metric", [recall_at, mrr_at, ndcg_at])
def test_a_list_with_an_item_twice_and_a_k_below_1_are_refused(metric: Callable[..., float | None]) -> None:
    with pytest.raises(ValueError, match="'a' is in the list more than once"):
        metric(["a", "a"], {"a"}, 2)
    with pytest.raises(ValueError, match="k = 0"):
        metric(["a"], {"a"}, 0)


def test_dist_n_by_replies_and_by_ngrams_are_two_numbers() -> None:
    found = dist_n(["A b a b", "a b"], orders=(1, 2, 4, 5))

    assert found["dist_1.ratio"] == 2 / 6
    assert found["dist_1.per_sentence"] == 2 / 2
    assert found["dist_2.ratio"] == 2 / 4  # "a b" and "b a"; none crosses from one reply to the next
    assert found["dist_4.per_sentence"] == 1 / 2
    assert found["dist_5.ratio"] is None
