import pytest

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination import preflight


def run(**services: str) -> RunConfig:
    return RunConfig.model_validate(
        {"policy": {"model": "m"}, "dataset": {"name": "sql_cot"}, "rewards": [{"name": "a"}], "services": services}
    )


def test_the_token_comes_from_where_the_server_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUERDON_REWARD_TOKEN", "secret")
    assert preflight.token(run()) == "secret"
    monkeypatch.delenv("GUERDON_REWARD_TOKEN")
    assert preflight.token(run()) is None


def test_a_variable_that_the_run_names_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(RunFileError, match="MY_TOKEN"):
        preflight.token(run(token_env="MY_TOKEN"))
