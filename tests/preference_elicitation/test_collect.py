import json
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer import datasets
from preference_elicitation import catalogue
from preference_elicitation.catalogue import SCENARIOS
from preference_elicitation.collect import main

ANSWERER = "assistant"
"""The role of the persona, in the chats of the model that answers."""


def collect(out: Path, chatter: Any, *more: str) -> int:
    arguments = ["--personas", "3", "--scenarios", "2", "--max-depth", "2", "--held-out", "1", *more]
    return main(["--out", str(out), "--questioner", chatter.url, "--participant", chatter.url, *arguments])


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "prompts.jsonl").read_text().splitlines()]


def test_there_is_a_prompt_of_every_depth_of_every_scenario(tmp_path: Path, chatter: Any) -> None:
    assert collect(tmp_path, chatter) == 0
    found = rows(tmp_path)
    assert len({(row["scenario"], row["depth"]) for row in found}) == len(found) == 3 * 2 * 3
    for row in found:
        assert len(row["transcript"]) == 1 + row["depth"]
        assert [turn["role"] for turn in row["prompt"]] == ["system", *["user", "assistant"] * row["depth"], "user"]
        assert len({row["persona"], row["scenario"].rpartition("_")[0]}) == 1
    assert "18 prompts: 12 for training and 6 for validation" in (tmp_path / "README.md").read_text()


def test_an_interrupted_collection_goes_on_and_asks_nothing_twice(tmp_path: Path, chatter: Any) -> None:
    collect(tmp_path / "whole", chatter)
    whole = rows(tmp_path / "whole")
    assert len(chatter.chats) == 2 + 2 * 12  # both models are tried out; then a question and an answer a turn
    collect(tmp_path / "torn", chatter)
    file = tmp_path / "torn/prompts.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:10]) + lines[10][:40])
    before = len(chatter.chats)
    assert collect(tmp_path / "torn", chatter) == 0
    assert sorted(map(json.dumps, rows(tmp_path / "torn"))) == sorted(map(json.dumps, whole))
    assert len(chatter.chats) - before == 2 + 2 * 8


def test_prompts_of_other_settings_are_refused(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(tmp_path, chatter)
    assert collect(tmp_path, chatter, "--seed", "5") == 2
    assert "seed was 0 and is 5. Choose another --out" in capsys.readouterr().err


def test_prompts_of_a_model_with_other_weights_are_refused(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(tmp_path / "out", chatter)
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    settings["participant_weights"] = "sha256:0"  # as if it had been a directory
    (tmp_path / "out/settings.json").write_text(json.dumps(settings))
    assert collect(tmp_path / "out", chatter) == 2
    assert 'participant_weights was "sha256:0" and is null' in capsys.readouterr().err


def test_prompts_of_scenarios_that_have_changed_since_are_refused(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(SCENARIOS.read_text())
    assert collect(tmp_path / "out", chatter, "--scenario-file", str(mine)) == 0
    mine.write_text(SCENARIOS.read_text().replace("My old car died", "My new car died"))
    assert collect(tmp_path / "out", chatter, "--scenario-file", str(mine)) == 2
    assert 'scenario_texts was "' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--scenario-file", "[a]\npersona = 'x'\n", "a is no scenario"),
        ("--scenario-file", "[a\n", "cannot be read"),
        ("--scenario-file", None, "No such file"),
        ("--persona-file", "[]\n", "neither TOML nor JSON"),
    ],
)
def test_a_file_that_holds_no_texts_is_refused_by_its_name(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str], option: str, content: str | None, said: str
) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_text(content)
    assert collect(tmp_path / "out", chatter, option, str(file)) == 2
    err = capsys.readouterr().err
    assert str(file) in err
    assert said in err


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:9/v1#m", "/nowhere/model"])
def test_a_model_that_is_not_there_leaves_nothing_that_binds_the_folder(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    wrong = f"endpoint:{wrong}" if "#" in wrong else wrong
    assert collect(tmp_path, chatter, "--participant", wrong) == 2
    assert wrong in capsys.readouterr().err
    assert collect(tmp_path, chatter) == 0


def test_a_model_that_asks_no_question_is_given_up_and_counted(tmp_path: Path, chatter: Any) -> None:
    chatter.question = "I like cars."
    assert collect(tmp_path, chatter) == 3
    assert {row["depth"] for row in rows(tmp_path)} == {0}
    chatter.question = "Must it be new?"
    assert collect(tmp_path, chatter) == 0
    assert len(rows(tmp_path)) == 18


def test_an_answer_that_never_came_gives_its_conversation_up_until_the_next_time(tmp_path: Path, chatter: Any) -> None:
    opening = next(one.text for one in catalogue.scenarios() if one.persona == "night_nurse")
    chatter.refuses = lambda body: opening in [turn["content"] for turn in body["messages"] if turn["role"] == ANSWERER]
    assert collect(tmp_path, chatter) == 3
    assert len(rows(tmp_path)) == 16  # of one scenario there is the opening alone
    assert all(turn["answer"] for row in rows(tmp_path) for turn in row["transcript"])
    chatter.refuses = lambda body: False
    assert collect(tmp_path, chatter) == 0
    assert len(rows(tmp_path)) == 18


def test_an_unknown_persona_is_refused_with_those_there_are(
    tmp_path: Path, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, chatter, "--personas", "nobody") == 2
    assert "night_nurse" in capsys.readouterr().err


def test_the_dataset_holds_what_the_reward_needs_and_nobody_on_both_sides(tmp_path: Path, chatter: Any) -> None:
    collect(tmp_path, chatter)
    train, validation = datasets.load("elicitation", path=str(tmp_path / "prompts.jsonl"))
    assert (len(train), len(validation)) == (12, 6)
    assert not {row["persona"] for row in train} & {row["persona"] for row in validation}
    assert all({"persona", "transcript", "pair_seed"} <= row.keys() for row in train)
    shallow, _ = datasets.load("elicitation", path=str(tmp_path / "prompts.jsonl"), max_depth=0)
    assert [row["depth"] for row in shallow] == [0] * 4


def test_a_dataset_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="guerdon collect"):
        datasets.load("elicitation", path=str(tmp_path / "none.jsonl"))


def test_a_row_without_a_persona_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"prompt": "x", "transcript": [], "pair_seed": 1}\n')
    with pytest.raises(ValueError, match="line 1: persona"):
        datasets.load("elicitation", path=str(tmp_path / "bad.jsonl"))
