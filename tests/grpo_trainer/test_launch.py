"""The files for `accelerate launch`: accelerate reads them, and they start as many ranks as they say."""

from importlib.resources import files
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

LAUNCH = Path(str(files("grpo_trainer") / "launch"))
KINDS = {"cpu_two_ranks": "MULTI_CPU", "ddp": "MULTI_GPU", "fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}


def test_every_kind_of_launch_has_its_file() -> None:
    assert {file.stem for file in LAUNCH.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_reads_the_file_and_knows_each_of_its_keys(name: str) -> None:
    config = load_config_from_file(str(LAUNCH / f"{name}.yaml"))
    assert config.distributed_type == KINDS[name]
    assert config.num_processes == 2
    assert f"--config_file {name}.yaml" in (LAUNCH / f"{name}.yaml").read_text()


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_gets_its_stage(stage: int) -> None:
    assert load_config_from_file(str(LAUNCH / f"zero{stage}.yaml")).deepspeed_config["zero_stage"] == stage
