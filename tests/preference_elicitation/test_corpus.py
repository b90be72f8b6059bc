from typing import Any

import pytest

from preference_elicitation import catalogue, corpus, short_form
from reward_server.rewards import Item
from reward_server.rewards.logprob_preference import LogprobPreference
from reward_server.rewards.models.dialogue import in_persona

LETTER = "Answer with the letter only."


@pytest.fixture(scope="module")
def rows() -> list[corpus.Row]:
    return list(corpus.world(400, 0))


def choices(rows: list[corpus.Row]) -> list[corpus.Row]:
    return [row for row in rows if row["prompt"][-1]["content"].endswith(LETTER)]


def served_prompt(context: dict[str, Any]) -> list[dict[str, str]]:
    """Return the chat that the reward server asks an endpoint with."""
    kind = LogprobPreference(base_url="http://127.0.0.1:1/v1", model_name="m")
    item = Item("", "", context=context)
    kind.prepare([item])
    return [{"role": role, "content": content} for role, content in item.encoded.orders[0][0]]


def test_a_choice_is_asked_for_exactly_as_the_reward_server_asks(rows: list[corpus.Row]) -> None:
    for row in choices(rows):
        system, *said, last = row["prompt"]
        turns = [
            {"question": question["content"], "answer": answer["content"]}
            for question, answer in zip(said[::2], said[1::2], strict=True)
        ]
        a, b, _ = last["content"].split("\n")
        options = {"option_a": a.removeprefix("Option A: "), "option_b": b.removeprefix("Option B: ")}
        context = {"transcript": turns, "system": system["content"], **options}
        assert served_prompt(context) == row["prompt"]


def test_a_described_person_chooses_what_fulfils_more_of_the_wishes() -> None:
    cars = {short_form.item(item): item for item in catalogue.items()}
    person = next(one for one in catalogue.personas() if one.name == "student")
    told = in_persona(short_form.persona(person))
    every = choices(list(corpus.world(4000, 1)))
    mine = [row for row in every if row["prompt"][0]["content"] == told]
    assert mine
    for row in mine:
        a, b = (cars[line.split(": ")[1]] for line in row["prompt"][-1]["content"].split("\n")[:2])
        worth = {"A": short_form.utility(person, a), "B": short_form.utility(person, b)}
        assert worth[row["completion"]] == max(worth.values())


def test_an_answer_tells_the_wish_that_was_asked_for_and_no_other() -> None:
    student = next(one for one in catalogue.personas() if one.name == "student")
    assert short_form.answer(student, "price") == "I want cheap."
    assert short_form.answer(student, "energy") == short_form.NO_MATTER
    assert short_form.answer(student, None) == short_form.ASIDE


def test_the_questioner_of_the_start_asks_anything_of_the_bank_whatever_was_said() -> None:
    asked = [row["completion"] for row in corpus.questioner(1000, 0)]
    assert set(asked) == {question.text for question in catalogue.questions()}
    assert max(map(asked.count, set(asked))) < 60


def test_the_same_seed_makes_the_same_corpus() -> None:
    assert list(corpus.world(30, 7)) == list(corpus.world(30, 7))
    assert list(corpus.world(30, 7)) != list(corpus.world(30, 8))
