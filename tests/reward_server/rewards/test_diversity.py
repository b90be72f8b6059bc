import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards import Item
from reward_server.rewards.diversity import Diversity, SetMetric, Value
from reward_server.rewards.variety.words import TOKENIZER_ID, tokens

TEXTS = ("a red car on a hill", "a red car on a hill", "two dogs sleep under old trees")
groups = st.lists(st.lists(st.sampled_from("abcde"), max_size=8).map(" ".join), min_size=2, max_size=6)


def group(*texts: str) -> list[Item]:
    items = [Item("p", text) for text in texts]
    for item in items:
        vector = np.array([1, 0, 0] if "car" in item.completion else [0.6, 0.8, 0], dtype=np.float32)
        item.vectors = [vector]
    return items


def diversity(**settings: Any) -> Diversity:
    return Diversity.model_validate(settings)


def test_words_and_marks_are_tokens_without_case() -> None:
    assert tokens("It's 3,5 °C – Ärger!") == ["it", "'", "s", "3", ",", "5", "°", "c", "–", "ärger", "!"]


def test_members_of_one_group_earn_their_own_contribution() -> None:
    assert [score.value for score in Diversity().score(group(*TEXTS))] == [0, 0, 1]


@pytest.mark.parametrize(
    ("settings", "component", "value"),
    [
        ({}, "novelty", lambda own: own),
        ({"value": "semantic"}, "semantic.own", lambda own: own),
        ({"value": "self_bleu"}, "self_bleu_4.method1.own", lambda own: 1 - own),
        ({"value": "leave_one_out"}, "leave_one_out.distinct_2", lambda own: own),
        ({"value": "leave_one_out", "set_metric": "ead_1"}, "leave_one_out.ead_1", lambda own: own),
        ({"value": "leave_one_out", "set_metric": "semantic"}, "leave_one_out.semantic", lambda own: own),
    ],
)
def test_settings_choose_the_value_and_the_different_text_earns_most(
    settings: dict[str, str], component: str, value: Any
) -> None:
    scores = diversity(**settings).score(group(*TEXTS))
    assert [score.value for score in scores] == [value(score.components[component]) for score in scores]
    assert scores[0].value == scores[1].value < scores[2].value


@pytest.mark.parametrize("value", get_args(Value))
@pytest.mark.parametrize("set_metric", get_args(SetMetric))
def test_components_are_those_declared_and_stay_in_their_ranges(value: str, set_metric: str) -> None:
    reward = diversity(value=value, set_metric=set_metric)
    declared = reward.served_components()
    for score in reward.score(group(*TEXTS)):
        assert set(score.components) == set(declared)
        for bounds, number in [(reward.range, score.value), *((declared[k], v) for k, v in score.components.items())]:
            assert number is not None
            assert (-math.inf if bounds.low is None else bounds.low) <= number
            assert number <= (math.inf if bounds.high is None else bounds.high)


@given(groups)
def test_what_is_undefined_is_null_with_a_reason(texts: list[str]) -> None:
    for score in Diversity().score([Item("p", text) for text in texts]):
        undefined = {name for name, value in score.components.items() if value is None}
        assert undefined == set(score.notes)
        assert ("compression" in undefined) == (not any(texts))
        assert ("distinct_4" in undefined) == all(len(tokens(text)) < 4 for text in texts)


def test_a_value_that_is_undefined_fails_with_its_reason() -> None:
    scores = diversity(value="leave_one_out").score(group("one", "two"))
    assert {(score.value, score.status) for score in scores} == {(None, "invalid_input")}
    assert "leave_one_out.distinct_2 is undefined: no n-grams" in (scores[0].error or "")


@pytest.mark.parametrize("value", ["novelty", "self_bleu"])
def test_an_empty_text_adds_nothing(value: str) -> None:
    scores = diversity(value=value).score([Item("p", ""), Item("p", "a b c d e"), Item("p", "a b c d f")])
    assert scores[0].value == 0


def test_a_group_of_one_is_undefined_and_not_zero() -> None:
    [score] = Diversity().score([Item("p", "alone")])
    assert (score.value, score.status) == (None, "invalid_input")


@given(groups, st.sampled_from(["novelty", "self_bleu"]))
def test_the_order_of_the_group_does_not_change_a_members_score(texts: list[str], value: str) -> None:
    items = [Item("p", text) for text in texts]
    forward, backward = diversity(value=value).score(items), diversity(value=value).score(items[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.components == pytest.approx(other.components, abs=1e-12)


@pytest.mark.parametrize("settings", [{"semantic": True}, {"value": "semantic"}, {"set_metric": "semantic"}])
def test_embeddings_are_asked_for_only_where_they_are_used(settings: dict[str, object]) -> None:
    assert Diversity().texts(Item("p", "a")) == []
    assert "vendi" not in Diversity().served_components()
    assert diversity(**settings).texts(Item("p", "a")) == ["a"]
    assert {"semantic", "semantic.own", "vendi"} < set(diversity(**settings).served_components())


def test_the_tokeniser_and_the_vocabulary_go_with_the_numbers() -> None:
    assert Diversity().model_dump()["tokenizer"] == TOKENIZER_ID
    assert Diversity().model_dump()["vocabulary"] == 50_000


def test_the_golden_group_has_finite_values() -> None:
    [golden] = Diversity.golden
    items = group(*(item["completion"] for item in golden.items))
    for value in get_args(Value):
        assert all(score.ok for score in diversity(value=value).score(items))
