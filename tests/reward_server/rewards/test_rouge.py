import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from reward_server.rewards import Item
from reward_server.rewards.rouge import Rouge

TYPES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
SCORER = RougeScorer(list(TYPES.values()))
texts = st.lists(st.sampled_from(["the", "The", "cat", "sat-on", "mat.", "3,5", "Ärger", "!"]), max_size=14).map(
    " ".join
)
references = st.lists(texts, min_size=1, max_size=3).filter(lambda some: any("the" in one.lower() for one in some))


@settings(max_examples=300)
@given(texts, references)
def test_rouge_is_rouge_scores(completion: str, reference: list[str]) -> None:
    [score] = Rouge().score([Item("", completion, reference)])
    expected = SCORER.score_multi(reference, completion)
    for variant, name in TYPES.items():
        if score.components[f"{variant}.f"] is None:
            assert variant == "rouge_2"
            assert expected[name].fmeasure == 0
            continue
        assert score.components[f"{variant}.f"] == pytest.approx(expected[name].fmeasure, abs=1e-12)
        assert score.components[f"{variant}.precision"] == pytest.approx(expected[name].precision, abs=1e-12)
        assert score.components[f"{variant}.recall"] == pytest.approx(expected[name].recall, abs=1e-12)


@given(st.text(max_size=40), st.text(max_size=40).map(lambda text: text + " the cat"))
def test_words_are_rouge_scores_words(completion: str, reference: str) -> None:
    [score] = Rouge().score([Item("", completion, reference)])
    assert score.value == pytest.approx(SCORER.score(reference, completion)["rougeL"].fmeasure, abs=1e-12)


@pytest.mark.parametrize("variant", TYPES)
@pytest.mark.parametrize("measure", ["f", "precision", "recall"])
def test_variant_and_measure_choose_the_value(variant: str, measure: str) -> None:
    reward = Rouge.model_validate({"variant": variant, "measure": measure})
    [score] = reward.score([Item("", "the black cat sat", "the cat sat on a mat")])
    assert score.value == score.components[f"{variant}.{measure}"]


@pytest.mark.parametrize("reference", [None, 7, [], ["a", 7], "", "我们", "x" * 101])
def test_an_item_without_a_usable_reference_fails_alone(reference: object) -> None:
    bad, good = Rouge(max_chars=100).score([Item("", "the cat", reference), Item("", "the cat", "the cat")])
    assert (bad.value, bad.status) == (None, "invalid_input")
    assert good.value == 1


def test_bigrams_of_a_one_word_reference_are_null_with_a_reason_and_no_value() -> None:
    [score] = Rouge().score([Item("", "the cat", "cat")])
    assert score.components["rouge_2.f"] is None
    assert "rouge_2.f" in score.notes
    [score] = Rouge(variant="rouge_2").score([Item("", "the cat", "cat")])
    assert (score.value, score.status) == (None, "invalid_input")


def test_an_empty_completion_is_a_bad_answer_and_not_a_failure() -> None:
    [score] = Rouge().score([Item("", "", "the cat")])
    assert score.value == 0


def test_a_completion_is_read_up_to_a_limit_and_says_so() -> None:
    long, short = Rouge(max_chars=7).score([Item("", "the cat sat", "the cat"), Item("", "the cat", "the cat")])
    assert long.value == short.value
    assert long.notes["completion"] == "cut to its first 7 characters"
    assert "completion" not in short.notes


def test_the_golden_items_have_their_values() -> None:
    [golden] = Rouge.golden
    for variant in TYPES:
        reward = Rouge.model_validate({"variant": variant})
        scores = reward.score([Item("", item["completion"], item["reference"]) for item in golden.items])
        assert [score.value for score in scores] == golden.values
