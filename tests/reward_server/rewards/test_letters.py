import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from reward_server.rewards.models.endpoint import Likely
from reward_server.rewards.models.letters import letter_ids, summed


def tokenizer(words: Iterable[str], decoder: object, special: list[str] | None = None) -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(words)}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    built.decoder = decoder
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        unk_token="<unk>",
        additional_special_tokens=special or [],
        clean_up_tokenization_spaces=False,
    )


def test_byte_level_vocabularies_spell_a_letter_with_and_without_a_space() -> None:
    words = ["<unk>", "A", "ĠA", "ĊA", "AB", "ĠAn", "a", "Ġa", "ĠB", "A."]
    assert letter_ids(tokenizer(words, decoders.ByteLevel()), "A") == [1, 2, 3]


def test_sentencepiece_vocabularies_spell_a_letter_as_a_piece_and_as_a_byte() -> None:
    words = ["<unk>", "▁A", "A", "<0x41>", "<0x42>", "▁▁A", "▁Ab", "B"]
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    found = tokenizer(words, decoder)
    assert (letter_ids(found, "A"), letter_ids(found, "B")) == ([1, 2, 3, 5], [4, 7])


def test_a_control_token_spells_no_letter() -> None:
    words = ["<unk>", "A", "B", " A"]
    assert letter_ids(tokenizer(words, decoders.Fuse(), special=[" A"]), "A") == [1]


def test_a_vocabulary_without_the_letter_is_refused() -> None:
    with pytest.raises(ValueError, match="no token for the letter 'B'"):
        letter_ids(tokenizer(["<unk>", "A"], decoders.Fuse()), "B")


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=5))
def test_the_variants_of_a_letter_are_summed_as_probabilities(logs: list[float]) -> None:
    told = [Likely("A" if index % 2 else " A", log) for index, log in enumerate(logs)]
    assert summed([*told, Likely("B", -0.1), Likely("AA", -0.1)], "A") == pytest.approx(
        math.log(math.fsum(map(math.exp, logs))), abs=1e-9
    )


def test_a_letter_that_is_not_told_has_no_probability() -> None:
    assert summed([Likely("A", -0.1)], "B") is None
