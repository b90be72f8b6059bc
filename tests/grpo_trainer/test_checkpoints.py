from pathlib import Path

import pytest

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination import preflight
from grpo_trainer.record import checkpoints
from grpo_trainer.record.ledger import Ledger


def checkpoint(run: Path, step: int, state: str | None) -> Path:
    folder = run / f"checkpoints/checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    if state is not None:
        (folder / "trainer_state.json").write_text(state)
    return folder


def test_a_checkpoint_cut_off_while_it_was_saved_is_passed_over_and_removed(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path, 9, "{}")
    broken = [checkpoint(tmp_path, 10, None), checkpoint(tmp_path, 11, '{"global_step"')]
    assert checkpoints.last_whole(tmp_path) == whole  # not the alphabetically last one
    assert checkpoints.step(whole) == 9
    checkpoints.forget_broken(tmp_path)
    assert whole.is_dir()
    assert not any(folder.exists() for folder in broken)


def test_a_run_killed_before_its_first_checkpoint_can_be_resumed_and_an_empty_directory_cannot(tmp_path: Path) -> None:
    settings = {"policy": {"model": "a/b"}, "dataset": {"name": "sql_cot"}, "rewards": [{"name": "r"}]}
    config = RunConfig.model_validate(settings | {"output": {"dir": str(tmp_path / "out")}})
    with pytest.raises(RunFileError, match="holds no run to go on with"):
        preflight.output_folder(config, "run", resume=True)
    Ledger(tmp_path / "out").step({"step": 1}, [])
    assert preflight.output_folder(config, "run", resume=True) == tmp_path / "out"
    assert checkpoints.last_whole(tmp_path / "out") is None
    with pytest.raises(RunFileError, match="Add --resume"):
        preflight.output_folder(config, "run", resume=False)
