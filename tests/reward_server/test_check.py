import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reward_server.check import main
from reward_server.rewards.models import judge_server

Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def _without_redis_or_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUERDON_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("GUERDON_JUDGE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(judge_server, "PATIENCE_S", 0.1)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> str:
        path = tmp_path / "rewards.toml"
        path.write_text(text)
        return str(path)

    return written


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, dict[str, dict[str, Any]]]]:
    """Check a file; the exit status, and what `--json` says of everything served, by name."""

    def run(file: str) -> tuple[int, dict[str, dict[str, Any]]]:
        code = main(["check", "--json", file])
        told = json.loads(capsys.readouterr().out)
        assert told["ok"] == (code == 0)
        return code, {one["name"]: one for one in told["served"]}

    return run


def test_every_kinds_own_golden_items_score_as_it_says_and_a_judge_that_is_not_there_is_missed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "--json"]) == 1
    trials = json.loads(capsys.readouterr().out)["served"]
    problems = {one["name"]: one["problems"] for one in trials if one["problems"]}
    assert problems.keys() == {"judge"}
    assert all("judge_transport" in one and "GUERDON_JUDGE_URL" in one for one in problems["judge"])
    assert [one["name"] for one in trials if one["golden"] == "ok" and not one["items_per_s"]] == []


def test_items_of_the_table_are_tried(write: Write, checked: Any) -> None:
    golden = 'golden = [{completion = "x", value = 0.5}, {completion = "xy", value = 0.9, within = 0.2}]'
    code, trials = checked(write(f'[a]\nkind = "length"\nlow = 2\n{golden}'))
    assert (code, trials["a"]["golden"], trials["a"]["tried"]) == (0, "ok", 2)


@pytest.mark.parametrize("runs", ["inline", "worker"])
def test_a_wrong_score_says_which_item_what_was_expected_and_what_came(
    write: Write, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = 'golden = [{completion = "x", value = 0.5}, {completion = "xy", value = 0.25}]'
    assert main(["check", write(f'[a]\nkind = "length"\nruns = "{runs}"\nlow = 2\n{golden}')]) == 1
    printed = capsys.readouterr().out
    assert "[a] golden 2 of the table scored 1, expected 0.25 within 1e-06" in printed
    assert "1 failed" in printed


def test_a_value_may_be_left_to_the_declared_range(write: Write, checked: Any) -> None:
    code, trials = checked(write('[a]\nkind = "length"\ngolden = [{completion = "x"}]'))
    assert (code, trials["a"]["golden"]) == (0, "ok")


def test_an_item_that_is_not_scored_fails_with_its_reason(write: Write, checked: Any) -> None:
    code, trials = checked(write('[a]\nkind = "exact_match"\ngolden = [{completion = "x", value = 1}]'))
    assert code == 1
    [problem] = trials["a"]["problems"]
    assert "golden 1 of the table was not scored" in problem
    assert "reference" in problem


def test_the_items_of_a_group_reward_are_one_group(write: Write, checked: Any) -> None:
    golden = 'golden = [{completion = "a b"}, {completion = "c d"}, {completion = "e f"}]'
    code, trials = checked(write(f'[a]\nkind = "diversity"\n{golden}'))
    assert (code, trials["a"]["golden"]) == (0, "ok")
    assert trials["a"]["tried"] >= 3


def test_a_kind_without_golden_items_is_not_tried_rather_than_ok(write: Write, checked: Any) -> None:
    code, trials = checked(write('[a]\nkind = "length"'))
    assert (code, trials["a"]["golden"], trials["a"]["tried"]) == (0, "not tried", 0)
    assert trials["a"]["items_per_s"] > 0


def test_a_model_that_does_not_load_is_named_with_its_reason_and_what_builds_on_it(
    write: Write, tmp_path: Path, checked: Any
) -> None:
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    text = f'[e]\nkind = "embeddings"\nmodel = "{broken}"\n[close]\nkind = "similarity"\n[a]\nkind = "length"'
    code, trials = checked(write(text))
    assert code == 1
    assert trials["e"]["golden"] == "does not load"
    assert trials["e"]["problems"][0].startswith("does not load: ")
    assert trials["close"]["problems"] == ["builds on e, which does not load"]
    assert trials["a"]["problems"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[a]\nkind = "lenght"', "did you mean 'length'"),
        ('[a]\nkind = "length"\ngolden = [{completion = "x", vlaue = 1}]', "golden 1: vlaue"),
        ('[a]\nkind = "length"\ngolden = [{completion = "x", value = "high"}]', "value is a number, not 'high'"),
        ('[a]\nkind = "length"\ngolden = [{completion = "x", value = nan}]', "value is a number"),
        ('[a]\nkind = "length"\ngolden = [{value = 1}]', "golden 1: completion"),
    ],
)
@pytest.mark.parametrize("command", ["check", "list"])
def test_a_wrong_configuration_is_exit_status_2(
    write: Write, command: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, write(text)]) == 2
    assert message in capsys.readouterr().err


def test_the_file_of_the_server_is_the_default(write: Write, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("GUERDON_REWARD_CONFIG", write('[mine]\nkind = "length"'))
    assert main(["list"]) == 0
    assert "mine" in capsys.readouterr().out


def test_list_says_what_is_served(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", write('[a]\nkind = "length"\n[b]\nkind = "similarity"')]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["name", "kind"]
    assert [row.split()[:4] for row in rows] == [
        ["a", "length", "item", "inline"],
        ["b", "similarity", "item", "inline"],
        ["embeddings", "embeddings", "encoder", "worker"],
    ]


def test_list_as_json_is_what_the_server_answers(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", write('[a]\nkind = "length"')]) == 0
    [reward] = json.loads(capsys.readouterr().out)["rewards"]
    assert (reward["name"], reward["settings"]["high"]) == ("a", 2000)


def test_it_is_a_command_of_guerdon(write: Write) -> None:
    command = [sys.executable, "-m", "guerdon.cli", "rewards", "list", write('[a]\nkind = "length"')]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
    assert "length" in ended.stdout
