"""The judge server that a command starts for itself: the real one, from `guerdon up --only-judge`."""

from pathlib import Path

import httpx
import pytest

from guerdon.cli import main
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.judge_process import judge_server

NO_KEY = '[gpt]\nkind = "openai"\nmodel = "gpt-4.1-mini"\nkey_env = "GUERDON_TEST_NO_SUCH_KEY"\n'


def test_a_judge_without_its_key_is_refused_with_the_variable_and_the_file(
    two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "judges.toml").write_text(NO_KEY)
    command = ["compare", *two_outputs, "--num", "30", "--out", str(tmp_path / "out"), "--judge", "gpt"]
    assert main([*command, "--judges", str(tmp_path / "judges.toml")]) == 2
    said = capsys.readouterr().err
    assert "GUERDON_TEST_NO_SUCH_KEY" in said
    assert "judges.toml" in said


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "judges.toml").write_text("[gpt\n")
    refused = pytest.raises(EvaluationError, match=r"(?s)ended before it was ready.*not valid TOML")
    with refused, judge_server(tmp_path / "data", tmp_path / "judges.toml"):
        pass


def test_the_server_ends_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "judges.toml").write_text(NO_KEY)
    with judge_server(tmp_path / "data", tmp_path / "judges.toml") as url:
        assert httpx.get(f"{url}/v1/judges").json()["judges"][0]["name"] == "gpt"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v1/judges")
