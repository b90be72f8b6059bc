import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guerdon.messages import Score
from reward_server.boundary import failure, outcomes, scored
from reward_server.rewards import Encoder, Item, Reward


class Echo(Reward):
    """The completion as a number; raises on anything else."""

    def score(self, items: list[Item]) -> list[float]:
        return [float(item.completion) for item in items]


class Short(Reward):
    """One score too few, unless the item is alone."""

    def score(self, items: list[Item]) -> list[float]:
        return [1.0] * (len(items) - 1 or 1)


class Nothing(Reward):
    """No number at all."""

    def score(self, items: list[Item]) -> Sequence[float | Score]:
        return [None for _ in items]  # type: ignore[misc]


class Odd(Reward):
    """Whatever the completion names, beside a good score."""

    def score(self, items: list[Item]) -> Sequence[float | Score]:
        odd: dict[str, Any] = {
            "good": 0.5,
            "array": np.ones(2),
            "huge": 10**400,
            "component": Score(value=1.0, components={"part": 1.0}),
            "numpy component": Score(value=1.0, components={"part": 1.0}),
            "text component": Score(value=1.0, components={"part": 1.0}),
            "note": Score(value=1.0, components={"part": 1.0}),
        }
        odd["component"].components["part"] = math.nan
        odd["numpy component"].components["part"] = np.ones(1)
        odd["text component"].components["part"] = "x"
        odd["note"].notes["part"] = "\ud800"
        return [odd[item.completion] for item in items]


class Grouped(Echo):
    """The same for whole groups."""

    scope: ClassVar[Literal["item", "group"]] = "group"


class Lengths(Encoder):
    """A vector of the text's length; raises on empty texts."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        if "" in texts:
            raise ValueError("empty")
        return np.array([[len(text)] for text in texts], dtype="f4")


def items(*completions: str) -> list[Item]:
    return [Item("", completion) for completion in completions]


@given(st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True).map(repr), st.just("broken")), max_size=12))
def test_only_the_guilty_items_fail_and_every_item_has_a_score(completions: list[str]) -> None:
    scores = scored(Echo(), items(*completions))
    assert len(scores) == len(completions)
    for completion, score in zip(completions, scores, strict=True):
        guilty = completion == "broken" or not math.isfinite(float(completion))
        assert (score.status == "model_error") == guilty
        assert score.value == (None if guilty else float(completion))


def test_a_wrong_number_of_scores_is_never_shifted_onto_the_wrong_items() -> None:
    assert [score.status for score in scored(Short(), items("a", "b", "c"))] == ["ok", "ok", "ok"]


def test_a_reward_that_returns_no_number_fails_its_items() -> None:
    assert [score.status for score in scored(Nothing(), items("a", "b"))] == ["model_error"] * 2


@pytest.mark.parametrize("kind", ["array", "huge", "component", "numpy component", "text component"])
def test_odd_values_fail_alone_wherever_the_reward_runs(kind: str) -> None:
    assert [score.status for score in scored(Odd(), items("good", kind))] == ["ok", "model_error"]
    assert [outcome["status"] for outcome in outcomes(Odd(), items("good", kind))] == ["ok", "model_error"]


def test_a_group_that_raises_fails_as_one() -> None:
    assert {score.status for score in scored(Grouped(), items("1", "broken", "2"))} == {"model_error"}


def test_the_error_names_the_exception_without_the_batch() -> None:
    [score] = scored(Echo(), items("broken"))
    assert score.error is not None
    assert score.error.startswith("ValueError: could not convert")


def test_an_encoder_fails_one_text_alone_too() -> None:
    assert [outcome["status"] for outcome in outcomes(Lengths(), items("a", "", "ccc"))] == ["ok", "model_error", "ok"]


def test_a_workers_outcome_is_a_score_on_the_wire() -> None:
    outcome = outcomes(Echo(), items("0.5", "nan"))
    assert [Score.model_validate(one).value for one in outcome] == [0.5, None]
    assert outcome[0] == {"status": "ok", "value": 0.5}


@pytest.mark.parametrize("completion", ["nan", "inf", "-inf"])
def test_what_is_not_finite_never_leaves_a_worker_as_a_value(completion: str) -> None:
    [outcome] = outcomes(Echo(), items(completion))
    assert outcome["status"] == "model_error"
    assert outcome.get("value") is None


def test_an_outcome_that_cannot_be_written_as_json_fails_alone() -> None:
    assert [outcome["status"] for outcome in outcomes(Odd(), items("good", "note"))] == ["ok", "model_error"]


class Unspeakable(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [ValueError("\ud800"), Unspeakable()])
def test_an_error_whose_message_cannot_be_sent_is_sent_without_it(error: Exception) -> None:
    score = failure(error)
    assert score.status == "model_error"
    assert score.model_dump_json()
