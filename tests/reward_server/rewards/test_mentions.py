"""Mentions: the share of given words in a completion, whole words only, and nothing for what is off the format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards import Item
from reward_server.rewards.mentions import Mentions, mentioned

WORDS = st.lists(st.text("abcdefg", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def value(completion: str, reference: object, **settings: str) -> float:
    return Mentions(**settings).score([Item("", completion, reference)])[0]


def test_the_value_is_the_share_of_the_words_whether_listed_or_written_with_commas() -> None:
    assert value("The dog caught a Ball.", ["dog", "park", "ball", "cat"]) == 0.5
    assert value("The dog caught a Ball.", "dog, park , ball,cat") == 0.5


@given(WORDS)
def test_a_completion_of_all_the_words_mentions_all_and_an_empty_one_none(words: list[str]) -> None:
    assert value(" ".join(words), words) == 1.0
    assert value("", words) == 0.0


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("do", "the dog", False),
        ("cat", "concatenate", False),
        ("?", "is it red?", True),
        ("C++", "in C++, of course", True),
        ("Harbour Motors", "at harbour motors!", True),
        ("naïve", "NAÏVE", True),
        ("cafe\u0301", "a caf\u00e9.", True),
        ("caf\u00e9", "a cafe\u0301.", True),
        ("cafe", "a cafe\u0301.", False),
    ],
)
def test_a_word_inside_another_is_no_mention_and_marks_may_touch(word: str, text: str, found: bool) -> None:
    assert mentioned(word, text) is found


def test_a_bare_list_of_the_words_counts_for_nothing_where_a_sentence_is_asked_for() -> None:
    form = r"[A-Z].*\."
    assert value("dog park", "dog, park", required_format=form) == 0.0
    assert value("A dog\nin a park.", "dog, park", required_format=form) == 1.0


@pytest.mark.parametrize("reference", [None, "", [], ["dog", 3], "dog,,park", 7])
def test_a_reference_without_words_is_refused_with_what_would_work(reference: object) -> None:
    with pytest.raises(ValueError, match="list of texts"):
        value("a dog", reference)


def test_a_broken_format_is_refused_when_it_is_configured() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        Mentions(required_format="(")
