"""What a whole run does with its signals: weights that follow shares, runs that end themselves, trackers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from grpo_trainer import run as run_module
from grpo_trainer import run_parts
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.record import ledger, save_check, saving
from grpo_trainer.run import run
from grpo_trainer.stop_signal import StopSignal
from long_work.exit_status import DIAGNOSED

TinyRun = Callable[..., Ready]
SHARED = [{"name": "letters", "weight": 1.0}, {"name": "digits", "weight": 1.0, "target_share": 0.2}]


def weights(out: Path) -> list[float]:
    return [line["weights"]["digits"] for line in ledger.read_metrics(out)]


def test_a_weight_follows_its_share_and_goes_on_with_a_resumed_run(tiny_run: TinyRun) -> None:
    saving_often = {"max_steps": 4, "save_steps": 2, "save_strategy": "steps"}
    ready = tiny_run(rewards=SHARED, grpo=saving_often)
    assert run(ready, StopSignal()) == 0
    whole = weights(ready.out)
    assert whole[0] == 1.0
    assert len(set(whole)) > 2
    assert {row["weight/digits"] for row in ledger.read_rollouts(ready.out) if row["step"] == 3} == {whole[2]}

    (ready.out / "checkpoints/checkpoint-4/trainer_state.json").write_text('{"cut off')  # as a kill leaves it
    assert run(tiny_run(resume=True, rewards=SHARED, grpo=saving_often), StopSignal()) == 0
    assert [line["step"] for line in ledger.read_metrics(ready.out)] == [1, 2, 3, 4]
    assert weights(ready.out)[:3] == whole[:3]  # the third is solved again, from the ledger of the first two


def test_a_run_without_spread_ends_itself_with_a_diagnosis(
    tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = tiny_run(rewards=[{"name": "constant"}], grpo={"max_steps": 9}, liveness={"steps": 2})
    assert run(ready, StopSignal()) == DIAGNOSED
    assert len(ledger.read_metrics(ready.out)) == 2
    told, said = capsys.readouterr()
    assert "grpo.max_steps = 9; grpo.num_generations = 4" in told
    assert "expected work: 9 steps, 72 completions" in told
    assert "stopped after step 2: no group's rewards have differed for 2 steps" in said
    assert "constant give every completion the same value" in said
    assert (ready.out / "checkpoints/checkpoint-2/trainer_state.json").exists()


def test_a_term_that_changes_nothing_ends_the_run(tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]) -> None:
    ready = tiny_run(
        rewards=[{"name": "letters"}, {"name": "constant"}], grpo={"max_steps": 9}, liveness={"completions": 16}
    )
    assert run(ready, StopSignal()) == DIAGNOSED
    assert len(ledger.read_metrics(ready.out)) == 2
    assert (
        "the reward 'constant' changes nothing: with weight 0 and with weight 10 the same 16" in capsys.readouterr().err
    )


def test_a_reward_that_fails_is_not_said_to_change_nothing(
    tiny_run: TinyRun, reward_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reward_server.fails = lambda reward, index: reward == "digits"
    ready = tiny_run(
        rewards=[{"name": "letters"}, {"name": "digits"}],
        services={"max_failed_share": 1.0},
        liveness={"completions": 8, "steps": 2},
        grpo={"max_steps": 9},
    )
    assert run(ready, StopSignal()) == 1  # scores may come again
    said = capsys.readouterr().err
    assert "stopped after step 2" in said
    assert "no completion has a score" in said
    assert "changes nothing" not in said


def test_what_was_saved_otherwise_than_trained_ends_the_run_with_1(
    tiny_run: TinyRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save_check.difference

    def spoilt(folder: Path, *rest: Any) -> str:
        file = folder / "model.safetensors"
        save_file({name: weight + 0.3 for name, weight in load_file(file).items()}, file, {"format": "pt"})
        return saved(folder, *rest)

    monkeypatch.setattr(saving.save_check, "difference", spoilt)
    ready = tiny_run(policy={"train": "all"}, grpo={"max_steps": 1})
    assert run(ready, StopSignal()) == 1
    assert "is not the policy that was trained: its log-probabilities" in capsys.readouterr().err
    assert ledger.read_manifest(ready.out)["exit_status"] == 1


def test_what_cannot_be_loaded_again_is_said(tmp_path: Path) -> None:
    import torch

    assert "cannot be loaded again" in save_check.difference(tmp_path, "x", torch.float32, [[1, 2]], torch.zeros(1))


def test_a_saved_policy_that_lies_where_training_began_is_not_the_trained_one(tiny_policy: Path) -> None:
    """bfloat16 rounds away more than a small learning rate moves: the untrained policy would pass by that alone."""
    import torch

    batch, dtype = [[5, 9, 20, 31, 7]], torch.bfloat16
    saved = save_check.log_probabilities(save_check.reloaded(tiny_policy, "", dtype), batch)
    trained = saved + 0.02
    assert save_check.difference(tiny_policy, str(tiny_policy), dtype, batch, trained) == ""
    said = save_check.difference(tiny_policy, str(tiny_policy), dtype, batch, trained, began=saved)
    assert "by 0.02 nats on average, and what was saved lies only 0 from where it began" in said


def test_the_signals_of_a_step_reach_every_tracker(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    class Tracker(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            seen.append(dict(logs))

    made = run_parts.make_trainer

    def with_a_tracker(*parts: Any) -> Any:
        trainer = made(*parts)
        trainer.callback_handler.callbacks.insert(0, Tracker())  # where transformers puts those of report_to
        return trainer

    monkeypatch.setattr(run_module.run_parts, "make_trainer", with_a_tracker)
    ready = tiny_run(grpo={"beta": 0.1, "max_steps": 1})
    assert run(ready, StopSignal()) == 0
    [line] = ledger.read_metrics(ready.out)
    step = next(logs for logs in seen if "loss" in logs)
    assert line["kl"] is not None  # there is a reference policy
    for name in ("parameter_change", "failed_share", "dead_group_share", "reward_seconds"):
        assert step[f"signals/{name}"] == pytest.approx(line[name])
    for name, share in line["signal_share"].items():
        assert np.isclose(step.get(f"signals/signal_share/{name}", np.nan), share or np.nan, equal_nan=True)
    assert step["signals/weights/vowels"] == 0.5
