import json
from pathlib import Path

import pytest

import small_model.corpus
from long_work import json_file
from preference_elicitation import corpus, world_check
from preference_elicitation.collect import main
from preference_elicitation.world_check import problems
from small_model import tokenizer, training
from small_model.shape import Shape


def world(**accuracy: float) -> dict[str, dict[str, float]]:
    learnt = {"labeller": 0.95, "nothing": 0.6, "an aside": 0.61, "price": 0.75, "energy": 0.7}
    named = {name.replace("_", " "): value for name, value in accuracy.items()}
    return {name: {"accuracy": value} for name, value in (learnt | named).items()}


def test_a_world_that_labels_and_learns_from_answers_has_no_problem() -> None:
    assert problems(world()) == []


def test_a_world_that_learnt_nothing_is_refused_in_words() -> None:
    said = problems(world(labeller=0.55, price=0.6))
    assert ["55%" in said[0], "60% to 60%" in said[1], len(said)] == [True, True, 2]


def test_a_world_that_learns_from_small_talk_is_refused() -> None:
    assert "an aside" in problems(world(an_aside=0.7))[0]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the world's form with random weights: it has learnt nothing."""
    folder = tmp_path_factory.mktemp("world")
    json_file.write_rows(folder / "rows.jsonl", corpus.world(50, 0))
    words = tokenizer.learnt(small_model.corpus.read(folder / "rows.jsonl"), 400)
    shape = Shape(
        hidden=8, layers=1, heads=2, context=256, steps=1, batch=1, learning_rate=1e-3, initial_std=0.1, seed=0
    )
    training.save(training.new_model(shape, words), words, folder / "model")
    return folder / "model"


def test_a_world_without_training_is_refused_by_the_command_and_one_that_does_well_enough_is_kept(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(world_check, "PAIRS", 2)
    told = ["--check-world", str(untrained), "--out", str(tmp_path)]
    assert main(told) == 1
    assert "the labeller is right in" in capsys.readouterr().err
    assert not (tmp_path / "world.json").exists()
    for limit, easy in {"LABELLER": 0.0, "RISE": -1.0, "DRIFT": 1.0}.items():
        monkeypatch.setattr(world_check, limit, easy)
    assert main(told) == 0
    found = json.loads((tmp_path / "world.json").read_text())
    assert list(found) == ["labeller", *world_check.KNOWN]
    assert all(0 <= one["accuracy"] <= 1 and 0 < one["pairs"] <= 40 and one["log_score"] < 0 for one in found.values())
