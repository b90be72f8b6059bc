import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.boundary import outcomes
from reward_server.rewards import Item
from reward_server.rewards.models.generation import Drawing
from reward_server.rewards.participant import Participant

PEOPLE = {"ann": "Ann, 34, a nurse with two children.", "bob": {"text": "Bob, 61, a cook.", "age": 61}}


@pytest.fixture(scope="module")
def personas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("personas") / "personas.json"
    file.write_text(json.dumps(PEOPLE))
    return file


@pytest.fixture(scope="module")
def served(tiny_policy: Path, personas: Path) -> Any:
    def build(**settings: Any) -> Participant:
        plain = {"personas": str(personas), "chat_template": "plain", "dtype": "float32", "max_tokens": 12}
        kind = Participant(model=str(tiny_policy), **plain | settings)
        kind.load()
        return kind

    return build


def item(question: str, persona: str = "ann", transcript: list[dict[str, str]] | None = None) -> Item:
    return Item("", "", context={"persona": persona, "transcript": transcript or [], "question": question})


QUESTIONS = ["Do you drive?", "What do you like about cars and about the roads they are driven on?", "Why?"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_answer_does_not_depend_on_its_batch(served: Any, temperature: float) -> None:
    kind = served(temperature=temperature)
    together = kind.write([item(question) for question in QUESTIONS])
    assert together == [kind.write([item(question)])[0] for question in QUESTIONS]
    assert together == list(served(temperature=temperature, batch_tokens=1).write([item(one) for one in QUESTIONS]))
    assert all(together)


def test_a_greedy_answer_is_what_the_model_finds_likeliest_each_time(served: Any) -> None:
    kind = served()
    one = item(QUESTIONS[0])
    kind.prepare([one])
    ids = list(one.encoded.tokens)
    with torch.inference_mode():
        for _ in range(12):
            ids.append(int(kind.local.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    written = kind.local.tokenizer.decode(ids[len(one.encoded.tokens) :], skip_special_tokens=True)
    assert kind.write([one]) == [written.split("\nUser:")[0].strip()]


def test_another_seed_and_another_persona_draw_other_answers(served: Any) -> None:
    [one] = served(temperature=1.0).write([item("Why?")])
    assert served(temperature=1.0, seed=1).write([item("Why?")]) != [one]
    assert served(temperature=1.0).write([item("Why?", persona="bob")]) != [one]


@settings(deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=2, max_size=6), st.floats(0.2, 2), st.integers(0, 10_000))
def test_a_token_is_drawn_where_the_rows_own_number_falls_in_the_distribution(
    logits: list[float], temperature: float, seed: int
) -> None:
    scores = torch.tensor([logits, logits[::-1]])
    drawn = Drawing(temperature, [seed, seed + 1])(torch.zeros(2, 1), scores)
    for row, own in enumerate((seed, seed + 1)):
        shares = (scores[row].double() / temperature).softmax(0).cumsum(0)
        expected = int((shares <= random.Random(own).random() * shares[-1]).sum())
        assert drawn[row].isfinite().nonzero().flatten().tolist() == [expected]


def test_a_persona_is_told_who_it_is_and_what_it_has_said(served: Any) -> None:
    kind = served()
    one = item("Why?", persona="bob", transcript=[{"question": "Do you drive?", "answer": "No."}])
    kind.prepare([one])
    text = kind.local.tokenizer.decode(one.encoded.tokens)
    assert "Bob, 61, a cook.\nUser: Do you drive?\nAssistant: No.\nUser: Why?\nAssistant:" in text


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({"persona": "eve", "transcript": [], "question": "Why?"}, "personas.json has no 'eve'; it has 2"),
        ({"transcript": [], "question": "Why?"}, "context.persona: Field required"),
        ({"persona": "ann", "transcript": [{"question": "q"}], "question": "Why?"}, "context.transcript.0.answer"),
        ({"persona": "ann", "transcript": [], "question": "x" * 3000}, "12 are to be written; the model has room for"),
    ],
)
def test_a_question_that_cannot_be_put_fails_alone(served: Any, context: dict[str, Any], problem: str) -> None:
    good, bad = outcomes(served(), [item("Why?"), Item("", "", context=context)])
    assert (good["status"], bad["status"]) == ("ok", "model_error")
    assert problem in bad["error"]


def test_another_text_of_a_persona_is_another_revision(served: Any, personas: Path, tmp_path: Path) -> None:
    changed = tmp_path / "personas.json"
    changed.write_text(personas.read_text().replace("nurse", "lawyer"))
    assert served().revision() == served().revision()
    assert served(personas=str(changed)).revision() != served().revision()
