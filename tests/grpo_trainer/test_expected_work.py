import math
from pathlib import Path

import pytest
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.utils import RepeatSampler

from grpo_trainer.config.run_config import Imputation, RunConfig
from grpo_trainer.config.run_file import read
from grpo_trainer.examination import expected_work
from grpo_trainer.imputation.imputer import Imputer

RUN = {"policy": {"model": "a/b"}, "dataset": {"name": "d"}}


def settings(folder: Path, **more: object) -> GRPOConfig:
    return GRPOConfig(output_dir=str(folder), **{"bf16": False, "use_cpu": True, "num_generations": 4} | more)  # type: ignore[arg-type]


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
    two = RunConfig.model_validate(RUN | {"rewards": [{"name": "a"}, {"name": "b"}]})
    assert expected_work.calls(two, args, found) == {"a": 88, "b": 88}


def test_a_disk_that_is_too_small_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    args = settings(tmp_path, max_steps=10)
    found = expected_work.work(args, 10, 0)
    assert expected_work.of_disk(tmp_path / "not/there/yet", args, found, 1000, 0).level == "ok"
    full = expected_work.of_disk(tmp_path, args, found, 10**15, 0)
    assert full.level == "fail"
    assert "lower grpo.save_total_limit" in full.text


def test_what_has_no_price_is_said_to_have_none(tmp_path: Path) -> None:
    rewards = [{"name": "a", "cost_per_call": 0.5}, {"name": "b"}]
    config = RunConfig.model_validate(RUN | {"rewards": rewards})
    args = settings(tmp_path, max_steps=2, per_device_train_batch_size=4)
    said = [finding.text for finding in expected_work.of_calls(config, args, expected_work.work(args, 9, 0), 10.0)]
    assert said[-1] == "4.00 for a; 1 rewards name no cost_per_call"


def asked(settings: Imputation, size: int, steps: int, groups: int) -> int:
    """Return how many completions an imputation whose gate stays open asks for."""
    imputer = Imputer(settings, size, 0)
    imputer.gate.open = True
    calls = 0
    for step in range(steps):
        calls += int(imputer.plan(groups * size, step / steps).asked.sum())
        imputer.batches += 1
    return calls


@pytest.mark.parametrize("mode", ["impute", "oracle"])
@pytest.mark.parametrize(("q", "from_share"), [(0.5, 0.2), (0.3, 0.15), (0.7, 0.0)])
def test_an_imputed_reward_is_expected_to_be_asked_for_what_its_imputation_asks_for(
    tmp_path: Path, q: float, from_share: float, mode: str
) -> None:
    imputation = {"q": q, "from_share": from_share, "mode": mode}
    rewards = [{"name": "a", "cost_per_call": 1.0}, {"name": "b", "cost_per_call": 0.5}]
    config = RunConfig.model_validate(RUN | {"rewards": rewards, "imputation": imputation})
    args = settings(tmp_path, max_steps=30, per_device_train_batch_size=80, eval_strategy="steps", eval_steps=30)
    assert config.imputation is not None
    found = expected_work.calls(config, args, expected_work.work(args, 999, 6))
    assert found["b"] == 30 * 80 + 24  # in an evaluation everyone is scored
    assert found["a"] == pytest.approx(24 + asked(config.imputation, 4, 30, 20), rel=0.02)


def test_the_run_that_imputes_is_announced_with_the_calls_that_it_saves(tmp_path: Path) -> None:
    config = read("chat_quality").config()
    args = settings(tmp_path, **config.grpo | {"num_generations": 8})
    said = expected_work.of_calls(config, args, expected_work.work(args, 999, 0), 10.0)
    assert "300 steps, 38,400 completions" in said[0].text
    assert said[0].text.endswith("; at least 23,040 reward calls")
