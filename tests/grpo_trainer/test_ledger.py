import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_trainer.record import ledger
from grpo_trainer.record.ledger import Ledger


def step(number: int, reward: float | None = 0.5) -> dict[str, object]:
    return {"step": number, "reward": {"mean": reward}}


def row(slot: int, reward: float | None = 0.5) -> dict[str, object]:
    return {"group_id": "g", "slot": slot, "prompt": "p", "completion": "c", "reward": reward, "status": "ok"}


def test_every_step_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    run = Ledger(tmp_path)
    run.step(step(1), [row(0), row(1)])
    assert ledger.read_metrics(tmp_path) == [step(1)]
    assert [found["slot"] for found in ledger.read_rollouts(tmp_path)] == [0, 1]
    run.step(step(2), [row(0)])
    assert [line["step"] for line in ledger.read_metrics(tmp_path)] == [1, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(tmp_path: Path, value: float) -> None:
    Ledger(tmp_path).step({"step": 1, "loss": value, "deep": [{"x": value}]}, [row(0, value)])
    assert ledger.read_metrics(tmp_path) == [{"step": 1, "loss": None, "deep": [{"x": None}]}]
    assert ledger.read_rollouts(tmp_path)[0]["reward"] is None


def test_all_rollout_files_have_one_schema_whatever_failed(tmp_path: Path) -> None:
    run, columns = Ledger(tmp_path), ["term/a", "a/format"]
    run.step(step(1), [row(0) | {"term/a": 1.0, "a/format": 1.0, "error": None}], columns)
    run.step(step(2), [row(0, None) | {"term/a": None, "error": "timeout"}], columns)
    first, second = (pq.read_schema(file) for file in sorted(tmp_path.glob("rollouts/*.parquet")))
    assert {field.name: field.type for field in first} == {field.name: field.type for field in second}


def test_a_line_cut_off_while_it_was_written_is_no_step(tmp_path: Path) -> None:
    Ledger(tmp_path).step(step(1), [])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "rew')
    assert ledger.read_metrics(tmp_path) == [step(1)]


@given(st.text())
def test_a_line_is_read_as_it_was_written_whatever_it_says(note: str) -> None:
    with TemporaryDirectory() as folder:
        run = Ledger(Path(folder))
        run.step({"step": 1, "note": note}, [])
        run.step({"step": 2, "note": "a\u2028b\x85c"}, [])
        run.cut_back(2)
        assert [line["note"] for line in ledger.read_metrics(Path(folder))] == [note, "a\u2028b\x85c"]


def test_cutting_back_leaves_each_step_once(tmp_path: Path) -> None:
    run = Ledger(tmp_path)
    for number in (1, 2, 3):
        run.step(step(number), [row(0)])
    run.cut_back(1)
    run.step(step(2, 0.9), [row(0)])
    assert [line["step"] for line in ledger.read_metrics(tmp_path)] == [1, 2]
    assert [found["step"] for found in ledger.read_rollouts(tmp_path)] == [1, 2]


def test_the_manifest_is_replaced_whole(tmp_path: Path) -> None:
    run = Ledger(tmp_path)
    run.manifest({"name": "a"})
    run.manifest({"name": "a", "ended": "now"})
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"name": "a", "ended": "now"}
    assert ledger.holds_a_run(tmp_path)
    assert not list(tmp_path.glob("*.part"))
