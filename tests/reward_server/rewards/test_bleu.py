import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

from reward_server.rewards import Item
from reward_server.rewards.bleu import Bleu

texts = st.lists(st.sampled_from(["the", "The", "cat", "sat", "on", "mat.", "3,5", "-", "我"]), max_size=14).map(
    " ".join
)
references = st.lists(texts.filter(str.strip), min_size=1, max_size=3)


@settings(max_examples=300)
@given(
    texts,
    references,
    st.sampled_from(["13a", "intl", "zh", "char", "none"]),
    st.sampled_from(["exp", "floor", "add-k", "none"]),
    st.booleans(),
)
def test_bleu_is_sacrebleus_sentence_bleu(
    completion: str, reference: list[str], tokenize: str, smooth_method: str, lowercase: bool
) -> None:
    settings = {"tokenize": tokenize, "smooth_method": smooth_method, "lowercase": lowercase}
    [score] = Bleu.model_validate(settings).score([Item("", completion, reference)])
    expected = sacrebleu.sentence_bleu(completion, reference, **settings)
    assert score.value == pytest.approx(expected.score / 100, abs=1e-12)
    assert score.components["brevity_penalty"] == expected.bp


def test_the_longest_order_is_a_setting() -> None:
    reward = Bleu(max_order=1)
    [score] = reward.score([Item("", "mat the on sat cat the", "the cat sat on the mat")])
    assert score.value == pytest.approx(1)
    assert set(score.components) == set(reward.served_components())


def test_one_reference_may_stand_without_a_list() -> None:
    one, several = Bleu().score([Item("", "the cat sat", reference) for reference in ("the cat", ["the cat"])])
    assert one == several


def test_the_signature_says_how_it_was_computed_for_each_item() -> None:
    items = [Item("", "the cat", "the cat"), Item("", "the cat", ["a", "the cat"])]
    signatures = [score.notes["signature"] for score in Bleu(lowercase=True).score(items)]
    assert [signature.split("|")[0] for signature in signatures] == ["nrefs:1", "nrefs:2"]
    assert signatures[0].endswith(f"case:lc|eff:yes|tok:13a|smooth:exp|version:{sacrebleu.__version__}")
    assert Bleu().revision() == sacrebleu.__version__


@pytest.mark.parametrize("reference", [None, 7, [], ["a", 7], "", [" "], "x" * 101, ["x" * 60, "y" * 60]])
def test_an_item_without_a_usable_reference_fails_alone(reference: object) -> None:
    bad, good = Bleu(max_chars=100).score([Item("", "the cat", reference), Item("", "the cat", "the cat")])
    assert (bad.value, bad.status) == (None, "invalid_input")
    assert good.value == pytest.approx(1)


def test_a_precision_without_ngrams_is_null_with_a_reason() -> None:
    [score] = Bleu().score([Item("", "the cat", "the cat")])
    assert score.components["precision_2"] == 1
    assert score.components["precision_3"] is None
    assert "precision_3" in score.notes


def test_a_completion_is_read_up_to_a_limit_and_says_so() -> None:
    long, short = Bleu(max_chars=7).score([Item("", "the cat sat", "the cat"), Item("", "the cat", "the cat")])
    assert long.value == short.value
    assert long.notes["completion"] == "cut to its first 7 characters"
    assert "completion" not in short.notes


def test_no_completion_stays_in_the_tokenisers_caches() -> None:
    Bleu().score([Item("", "the cat", "the cat")])
    assert Tokenizer13a.__call__.cache_info().currsize == 0
    assert TokenizerRegexp.__call__.cache_info().currsize == 0


def test_the_golden_items_have_their_values() -> None:
    [golden] = Bleu.golden
    for reward in (Bleu(), Bleu(tokenize="char", smooth_method="add-k"), Bleu(max_order=1, smooth_method="none")):
        scores = reward.score([Item("", item["completion"], item["reference"]) for item in golden.items])
        assert [score.value for score in scores] == pytest.approx(golden.values)


def test_an_empty_reference_among_others_does_not_undo_the_brevity_penalty() -> None:
    whole = "the cat sat on the mat today"
    alone, beside = Bleu().score([Item("", "the", [whole]), Item("", "the", [whole, ""])])
    assert beside.value == alone.value
