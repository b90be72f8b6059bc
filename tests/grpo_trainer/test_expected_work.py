import math
from pathlib import Path

import pytest
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.utils import RepeatSampler

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.examination import expected_work


def settings(folder: Path, **more: object) -> GRPOConfig:
    return GRPOConfig(output_dir=str(folder), bf16=False, use_cpu=True, num_generations=4, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [7, 40])
@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("iterations", [1, 2])
@pytest.mark.parametrize("epochs", [1, 3])
def test_steps_and_completions_of_epochs_are_those_of_trls_sampler(
    tmp_path: Path, rows: int, accumulation: int, iterations: int, epochs: int
) -> None:
    args = settings(
        tmp_path,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=accumulation,
        num_iterations=iterations,
        num_train_epochs=epochs,
        max_steps=-1,
    )
    sampler = RepeatSampler(
        range(rows),  # type: ignore[arg-type]
        mini_repeat_count=4,
        batch_size=8 * accumulation // 4,
        repeat_count=iterations * accumulation,
    )
    batches = len(list(sampler)) // (8 * accumulation)  # one a micro-batch, each as long as a generation batch
    found = expected_work.work(args, rows, 0)
    assert found.steps == math.ceil(batches / accumulation) * epochs
    assert found.completions == len(list(sampler)) // (iterations * accumulation) * epochs


def test_evaluations_are_counted(tmp_path: Path) -> None:
    args = settings(tmp_path, max_steps=10, per_device_train_batch_size=4, eval_strategy="steps", eval_steps=5)
    found = expected_work.work(args, 100, 6)
    assert (found.steps, found.completions, found.evaluated) == (10, 40, 48)
    assert found.calls(2) == 176


def test_a_disk_that_is_too_small_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    args = settings(tmp_path, max_steps=10)
    found = expected_work.work(args, 10, 0)
    assert expected_work.of_disk(tmp_path / "not/there/yet", args, found, 1000, 0).level == "ok"
    full = expected_work.of_disk(tmp_path, args, found, 10**15, 0)
    assert full.level == "fail"
    assert "lower grpo.save_total_limit" in full.text


def test_what_has_no_price_is_said_to_have_none(tmp_path: Path) -> None:
    rewards = [{"name": "a", "cost_per_call": 0.5}, {"name": "b"}]
    config = RunConfig.model_validate({"policy": {"model": "a/b"}, "dataset": {"name": "d"}, "rewards": rewards})
    args = settings(tmp_path, max_steps=2, per_device_train_batch_size=4)
    said = [finding.text for finding in expected_work.of_calls(config, args, expected_work.work(args, 9, 0), 10.0)]
    assert said[-1] == "4.00 for a; 1 rewards name no cost_per_call"
