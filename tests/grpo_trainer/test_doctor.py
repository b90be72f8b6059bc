from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer.config.run_file import NotReadyError
from grpo_trainer.examination import golden_item, preflight
from grpo_trainer.examination.doctor import main
from grpo_trainer.examination.preflight import Ready

RUN = """
[policy]
model = "{policy}"
prompt = "plain"
end_of_turn = "\\n"
[dataset]
name = "sql_cot"
rows = 40
prompt = "few_shot"
[services]
reward_url = "{url}"
deadline_s = 5.0
[output]
dir = "{out}"
[[rewards]]
name = "letters"
cost_per_call = 0.01
[[rewards]]
name = "digits"
weight = 0.5
[grpo]
max_steps = 3
num_generations = 4
per_device_train_batch_size = 8
max_completion_length = 8
gradient_checkpointing = false
"""

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(tiny_policy: Path, reward_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Examine the run with texts of it replaced; return the exit status and what was said."""

    def examined(*arguments: str, **replaced: str) -> tuple[int, str]:
        text = RUN.format(policy=tiny_policy, url=reward_server.url, out=tmp_path / "out")
        for old, new in (pair.split(" -> ") for pair in replaced.values()):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "run.toml"
        path.write_text(text)
        status = main([str(path), *arguments])
        return status, capsys.readouterr().out

    return examined


def test_a_run_that_can_start_is_examined_to_its_end_and_nothing_is_written(doctor: Doctor, tmp_path: Path) -> None:
    status, said = doctor()
    assert status == 0, said
    assert not any(line.startswith(("fail", "warn")) for line in said.splitlines())
    for part in (
        "letters answered",
        "3 steps, 24 completions",
        "192 tokens written",
        "48 reward calls",
        "0.24 for letters; 1 rewards name no cost_per_call",
        "digits: its weight at 10 instead of 0 changes the gradient by",
        "disk space",
        "grpo.max_steps = 3",
        "rewards.2.weight = 0.5",
    ):
        assert part in said
    assert not (tmp_path / "out").exists()


def test_a_term_that_changes_nothing_is_refused_with_that_sentence(doctor: Doctor) -> None:
    status, said = doctor(reward='"digits" -> "constant"')
    assert status == 1
    assert (
        "fail  sensitivity        the reward 'constant' changes nothing: with weight 0 and with weight 10 the same 64"
        in said
    )


def test_a_term_that_fails_is_not_said_to_change_nothing(doctor: Doctor, reward_server: Any) -> None:
    reward_server.fails = lambda reward, index: reward == "digits"
    status, said = doctor(services="deadline_s = 5.0 -> deadline_s = 5.0\nmax_failed_share = 1.0")
    assert status == 0
    assert "warn  sensitivity        whether 'digits' changes anything is not known: of 128 completions only 0" in said
    assert "with weight 10" not in said


@pytest.mark.parametrize(
    ("replaced", "arguments", "said"),
    [
        ('"digits" -> "digitz"', (), ["fail  rewards", "did you mean 'digits'?", "warn  policy"]),
        ("rows = 40 -> rows = 1", (), ["fail  dataset", "rows"]),
        ("max_steps = 3 -> max_stepz = 3", (), ["fail  run file", "did you mean 'max_steps'?"]),
        (
            "= 8\ngradient -> = 5000\ngradient",
            (),
            ["fail  prompt lengths", "context of 2048", "max_completion_length to"],
        ),
        ('prompt = "plain" -> prompt = "chat"', (), ["fail  policy", 'chat_template = "plain"']),
    ],
)
def test_what_fails_says_what_to_do(doctor: Doctor, replaced: str, arguments: tuple[str, ...], said: list[str]) -> None:
    status, text = doctor(*arguments, text=replaced)
    assert status == 1
    for part in said:
        assert part in text


def test_a_reward_that_has_no_score_for_a_golden_item_is_shown_with_its_typed_failure(
    doctor: Doctor, reward_server: Any
) -> None:
    reward_server.fails = lambda reward, index: reward == "digits" and index == 2
    status, said = doctor("--quick")
    assert status == 1
    assert "ok    golden item        letters answered" in said
    assert "digits has no score for 1 of 4 completions of a row of the dataset: timeout: too slow." in said
    assert "Raise [services] deadline_s" in said


def test_a_run_that_goes_on_whatever_fails_is_only_warned_of_a_golden_item_without_a_score(
    tiny_run: Callable[..., Ready], reward_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reward_server.fails = lambda reward, index: reward == "letters"
    with pytest.raises(NotReadyError, match="letters has no score for 4 of 4"):
        golden_item.require(tiny_run())
    careless = tiny_run(services={"max_failed_share": 1.0})
    golden_item.require(careless)
    assert "letters has no score for 4 of 4" in capsys.readouterr().err
    assert [finding.level for finding in golden_item.scored(careless)] == ["warn", "ok"]


def test_a_reward_server_that_does_not_answer_is_named_and_the_rest_is_examined(doctor: Doctor) -> None:
    status, said = doctor("--reward-url", "http://127.0.0.1:9")
    assert status == 1
    assert "no reward server answers at http://127.0.0.1:9" in said
    assert "Start one with `guerdon up`" in said
    assert "ok    dataset" in said


@pytest.mark.parametrize(
    ("scale", "objective", "warned"),
    [
        ("group", "polychromic", True),
        (None, "polychromic", True),
        ("none", "polychromic", False),
        ("group", "darling", False),
    ],
)
def test_a_set_level_objective_divided_by_the_groups_spread_is_warned_of(
    tiny_run: Callable[..., Ready], scale: str | None, objective: str, warned: bool
) -> None:
    ready = tiny_run(rewards=[{"name": "letters"}], grpo={"scale_rewards": scale} if scale else {})
    served = ready.served["letters"].model_copy(update={"kind": "polychromic", "settings": {"objective": objective}})
    found = preflight.warnings_of_served(replace(ready, served={"letters": served}))
    assert [finding.level for finding in found] == (["warn"] if warned else [])
    assert all('grpo.scale_rewards = "none"' in finding.text for finding in found)
