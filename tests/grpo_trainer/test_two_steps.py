import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.record import ledger
from grpo_trainer.run import run
from grpo_trainer.stop_signal import StopSignal

TinyRun = Callable[..., Ready]


def test_two_steps_leave_a_ledger_an_adapter_and_a_report(
    tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = tiny_run(output={"merged": True})
    assert run(ready, StopSignal()) == 0
    lines = ledger.read_metrics(ready.out)
    assert [line["step"] for line in lines] == [1, 2]
    for line in lines:
        assert line["completions"] == 8
        assert line["failed_share"] == 0
        assert line["parameter_change"] > 0
        assert 0 < line["reward_seconds"] < line["step_seconds"]
        assert line["kl"] is None  # no reference policy
    shares = [line["signal_share"]["letters"] for line in lines if line["dead_group_share"] < 1]
    assert shares
    np.testing.assert_allclose(shares, 2 / 3)  # weight 1 of 1 + 1/2 of the same
    for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors", "report.html", "manifest.json"):
        assert (ready.out / name).exists()
    shown = capsys.readouterr().out
    assert "step 2/2" in shown
    assert "first → last quarter" in shown


def test_rows_carry_the_terms_and_the_advantages_that_trl_trained_on(tiny_run: TinyRun) -> None:
    ready = tiny_run()
    run(ready, StopSignal())
    rows = ledger.read_rollouts(ready.out)
    assert len(rows) == 16
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        assert np.isclose(row["reward"], row["term/letters"] + row["term/vowels"])
        groups.setdefault(row["group_id"], []).append(row)
    for members in groups.values():
        assert [member["slot"] for member in members] == [0, 1, 2, 3]
        assert len({member["prompt"] for member in members}) == 1
        rewards = np.array([member["reward"] for member in members])
        expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
        np.testing.assert_allclose([member["advantage"] for member in members], expected, atol=1e-4)


def test_a_failed_completion_is_null_in_the_ledger_and_gets_no_advantage(
    tiny_run: TinyRun, reward_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reward_server.fails = lambda reward, index: reward == "vowels" and index == 1
    ready = tiny_run()
    assert run(ready, StopSignal()) == 0
    failed = [row for row in ledger.read_rollouts(ready.out) if row["reward"] is None]
    assert len(failed) == 2
    for row in failed:
        assert row["advantage"] == 0
        assert row["status"] == "vowels: timeout"
        assert row["term/letters"] is not None
        assert row["completion"] not in caplog.text
    assert [line["failed_share"] for line in ledger.read_metrics(ready.out)] == [1 / 8, 1 / 8]


def test_a_reward_that_keeps_failing_ends_the_run_with_1(
    tiny_run: TinyRun, reward_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reward_server.fails = lambda reward, index: reward == "vowels"
    ready = tiny_run()
    assert run(ready, StopSignal()) == 1
    assert "8 of 8 completions have no reward; commonest: vowels timeout: too slow" in capsys.readouterr().err
    assert ledger.read_manifest(ready.out)["exit_status"] == 1
    assert (ready.out / "report.html").exists()


def test_a_signal_saves_and_leaves_a_ledger_of_whole_steps_that_can_be_resumed(
    tiny_run: TinyRun, reward_server: Any
) -> None:
    def stopped_in_the_third_step(reward: str, index: int) -> bool:
        if len(reward_server.requests) == 3 and (reward, index) == ("letters", 0):
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    reward_server.fails = stopped_in_the_third_step
    with StopSignal() as stop:
        assert run(tiny_run(grpo={"max_steps": 4}), stop) == 143
    ready = tiny_run(resume=True, grpo={"max_steps": 4})
    assert [line["step"] for line in ledger.read_metrics(ready.out)] == [1, 2]
    assert (ready.out / "checkpoints/checkpoint-2").is_dir()
    assert (ready.out / "adapter/adapter_model.safetensors").exists()

    assert run(ready, StopSignal()) == 0
    assert [line["step"] for line in ledger.read_metrics(ready.out)] == [1, 2, 3, 4]


def test_every_weight_can_be_trained_and_evaluated(tiny_run: TinyRun) -> None:
    ready = tiny_run(
        policy={"train": "all"},
        grpo={"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 4, "num_generations_eval": 2},
    )
    assert run(ready, StopSignal()) == 0
    assert (ready.out / "model/model.safetensors").exists()
    [evaluation] = ledger.lines(ready.out / "evaluations.jsonl")
    assert evaluation["step"] == 2
    assert evaluation["eval_reward"] is not None
    assert len(ledger.read_rollouts(ready.out)) == 16  # the evaluation's completions taught nothing


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"grpo": {"num_generations": 3}}, "divisible by num_generations"),
        ({"policy": {"prompt": "chat"}}, 'chat_template = "plain"'),
        ({"policy": {"end_of_turn": "ab"}}, "is 2 tokens"),
        ({"policy": {"lora": {"target_modules": ["nothing"]}}}, "nothing"),
    ],
)
def test_what_only_shows_with_the_model_is_refused_in_words(
    tiny_run: TinyRun, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(RunFileError, match=said):
        run(tiny_run(**sections), StopSignal())


def test_a_directory_without_a_model_is_refused_in_words(tiny_run: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFileError, match="empty"):
        run(tiny_run(policy={"model": str(tmp_path / "empty")}), StopSignal())
