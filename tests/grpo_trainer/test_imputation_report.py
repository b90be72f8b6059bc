"""`guerdon imputation`: the page and the facts of runs that imputed."""

import json
from pathlib import Path

import numpy as np
import pytest

from grpo_trainer.config.run_config import Imputation
from grpo_trainer.imputation.imputer import Imputer
from grpo_trainer.imputation.report import main
from grpo_trainer.record.ledger import Ledger


def imputed_run(folder: Path) -> Path:
    run = Ledger(folder)
    run.manifest({"seed": 0, "config": {"imputation": {"threshold": 0.5}}})
    rng, imputer = np.random.default_rng(0), Imputer(Imputation(from_share=0.0, threshold=0.0), 8, 0)
    for number in range(1, 9):
        features = rng.normal(size=(32, 3))
        plan = imputer.plan(32, 0.5)
        outcome = imputer.complete(plan, features, np.where(plan.asked, features[:, 0], np.nan))
        facts = {"reward": "letters", **outcome.record}
        run.step({"step": number, "reward": {"mean": 0.1 * number}, "failed_share": 0.0, "imputation": facts}, [])
    return folder


def test_a_report_says_what_was_saved_whatever_the_folder_is_called(tmp_path: Path) -> None:
    run, out = imputed_run(tmp_path / "a$\\frac$"), tmp_path / "report"
    assert main([str(run), "--out", str(out)]) == 0
    facts = json.loads((out / "report.json").read_text())["runs"]["a$\\frac$"]
    assert facts["calls_saved"] > 0
    assert "a$\\frac$" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", None, "manifest.json cannot be read"),
        ("manifest.json", b"[]", "manifest.json is no manifest of a run"),
        ("metrics.jsonl", b"garbage\n", "metrics.jsonl, line 1 is not JSON"),
        ("metrics.jsonl", b"3\n", "metrics.jsonl, line 1 is no JSON object"),
        ("metrics.jsonl", b"\xff\xfe\n", "metrics.jsonl cannot be read"),
    ],
)
def test_a_run_that_cannot_be_read_is_named_by_its_file(
    name: str, content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = imputed_run(tmp_path / "run") / name
    file.unlink() if content is None else file.write_bytes(content)
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "report")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ('{"a": ', "is not JSON")])
def test_facts_that_cannot_be_shown_are_named_and_nothing_is_written(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    also, out = tmp_path / "facts.json", tmp_path / "report"
    if content is not None:
        also.write_text(content)
    assert main([str(imputed_run(tmp_path / "run")), "--also", str(also), "--out", str(out)]) == 2
    assert f"facts.json {said}" in capsys.readouterr().err
    assert not out.exists()
