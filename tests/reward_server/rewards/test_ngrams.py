from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards.variety.ngrams import (
    NgramCounts,
    distinct,
    ead,
    expectation_adjusted,
    leave_one_out,
    novelty,
)

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=1, max_size=6)


def grams_of(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@given(texts, st.integers(1, 5))
def test_ngrams_are_counted_per_text_and_never_across(group: list[list[str]], n: int) -> None:
    grams = NgramCounts(group).of(n)
    expected = [Counter(grams_of(words, n)) for words in group]
    assert grams.totals.tolist() == [own.total() for own in expected]
    assert grams.distinct == len(set().union(*expected))
    held = Counter(zip(grams.text.tolist(), grams.count.tolist(), strict=True))
    assert held == Counter((i, count) for i, own in enumerate(expected) for count in own.values())
    assert grams.gram.tolist() == sorted(grams.gram.tolist())


@given(texts, st.integers(1, 4))
def test_distinct_counts_what_brute_force_counts(group: list[list[str]], n: int) -> None:
    grams = [gram for words in group for gram in grams_of(words, n)]
    assert distinct(NgramCounts(group), n) == (len(set(grams)) / len(grams) if grams else None)


@given(texts, st.integers(1, 4), st.integers(2, 1000))
def test_ead_is_its_definition(group: list[list[str]], n: int, vocabulary: int) -> None:
    grams = [gram for words in group for gram in grams_of(words, n)]
    found = ead(NgramCounts(group), n, vocabulary)
    if not grams:
        assert found is None
        return
    expected = vocabulary * (1 - ((vocabulary - 1) / vocabulary) ** len(grams))
    assert found == pytest.approx(len(set(grams)) / expected, rel=1e-9)


def test_ead_keeps_its_digits_where_the_plain_form_has_none() -> None:
    assert 1 - ((10**17 - 1) / 10**17) ** 3 == 0
    assert expectation_adjusted(10**17)(3, 3) == pytest.approx(1, rel=1e-15)


@given(texts, st.integers(1, 3), st.sampled_from(["distinct", "ead"]))
def test_leave_one_out_is_the_change_when_the_text_is_taken_away(group: list[list[str]], n: int, metric: str) -> None:
    measure = distinct if metric == "distinct" else lambda counts, n: ead(counts, n, 50)
    ratio = {} if metric == "distinct" else {"ratio": expectation_adjusted(50)}
    whole = measure(NgramCounts(group), n)
    for i, change in enumerate(leave_one_out(NgramCounts(group), n, **ratio)):
        others = measure(NgramCounts(group[:i] + group[i + 1 :]), n)
        assert (change is None) == (others is None)
        if change is not None and whole is not None and others is not None:
            assert change == pytest.approx(whole - others)


@given(texts, st.integers(1, 4))
def test_novelty_is_the_share_of_ngrams_that_no_sibling_has(group: list[list[str]], n: int) -> None:
    own = [set(grams_of(words, n)) or {tuple(words)} for words in group]
    for i, (words, share) in enumerate(zip(group, novelty(NgramCounts(group), n), strict=True)):
        siblings = set().union(*own[:i], *own[i + 1 :])
        assert share == (len(own[i] - siblings) / len(own[i]) if words else 0)
