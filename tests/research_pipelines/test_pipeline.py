"""The runner: each stage once, in order, with its servers, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from research_pipelines import pipeline, systems
from research_pipelines.failure import PipelineError
from research_pipelines.plan import Plan
from research_pipelines.record import Record
from research_pipelines.servers import Servers
from research_pipelines.stage import Stage

LENGTH = '[length]\nkind = "length"\n'
RUNNER = Path(__file__).parent / "two_stages.py"


def rows(out: Path, count: int = 4) -> Stage:
    file = out / "rows.jsonl"
    return Stage("rows", ("sqlcot", "build", "--rows", str(count), "--out", str(file)), (file,))


def run(stages: list[Stage], out: Path) -> Record:
    out.mkdir(parents=True, exist_ok=True)
    record = Record("toy", Plan(out))
    with pipeline._locked(out) as lock, Servers(out, {}, threads=1) as servers:
        pipeline.run(stages, record, servers, out, lock)
    return record


def test_a_stage_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    run([rows(tmp_path)], tmp_path)
    made = (tmp_path / "rows.jsonl").stat().st_mtime_ns
    run([rows(tmp_path)], tmp_path)
    assert (tmp_path / "rows.jsonl").stat().st_mtime_ns == made


def test_a_stage_whose_result_was_deleted_is_run_again(tmp_path: Path) -> None:
    run([rows(tmp_path)], tmp_path)
    (tmp_path / "rows.jsonl").unlink()
    run([rows(tmp_path)], tmp_path)
    assert (tmp_path / "rows.jsonl").exists()


def test_a_stage_that_fails_ends_the_pipeline_with_its_status(tmp_path: Path) -> None:
    wrong = Stage("wrong", ("sqlcot", "no-such-word"), (tmp_path / "never",))
    with pytest.raises(PipelineError, match="wrong ended with status 2") as failure:
        run([wrong, rows(tmp_path)], tmp_path)
    assert failure.value.status == 2
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_stage_that_makes_nothing_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="did not make"):
        run([Stage("idle", ("--version",), (tmp_path / "nothing",))], tmp_path)


def test_a_folder_belongs_to_one_size_and_one_set_of_seeds(tmp_path: Path) -> None:
    run([rows(tmp_path)], tmp_path)
    with pytest.raises(PipelineError, match=r"holds seeds \[0\], not \[0, 1\]"):
        Record("toy", Plan(tmp_path, seeds=(0, 1)))


def test_two_pipelines_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with (
        pipeline._locked(tmp_path),
        pytest.raises(PipelineError, match="still works in"),
        pipeline._locked(tmp_path),
    ):
        pass


def test_a_stage_is_resumed_only_where_it_left_something(tmp_path: Path) -> None:
    stage = Stage("train", ("train",), (), resume=("--resume",), resume_if="train/checkpoint-*")
    assert stage.arguments({}, tmp_path) == ["train"]
    (tmp_path / "train/checkpoint-3").mkdir(parents=True)
    assert stage.arguments({}, tmp_path) == ["train", "--resume"]


def test_urls_are_filled_into_the_command(tmp_path: Path) -> None:
    stage = Stage("train", ("train", "--reward-url={reward_url}"), ())
    assert stage.arguments({"reward_url": "http://a"}, tmp_path) == ["train", "--reward-url=http://a"]


def test_a_server_that_runs_already_is_used_and_none_is_started(tmp_path: Path) -> None:
    stage = Stage("score", ("rewards",), (), rewards=LENGTH)
    with Servers(tmp_path, {"reward_url": "http://mine"}, threads=1) as servers:
        assert servers.for_stage(stage) == {"reward_url": "http://mine"}
    assert not (tmp_path / "servers").exists()


def test_servers_that_do_not_come_up_say_why(tmp_path: Path) -> None:
    stage = Stage("score", ("rewards",), (), rewards='[a]\nkind = "no such kind"\n')
    with Servers(tmp_path, {}, threads=1) as servers, pytest.raises(PipelineError, match="no such kind"):
        servers.for_stage(stage)


def test_servers_end_with_a_pipeline_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the pipeline no time to stop anything."""
    runner = subprocess.Popen([sys.executable, str(RUNNER), str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert runner.stdout is not None
        url, up = runner.stdout.readline().decode().split()
        assert url.startswith("http://127.0.0.1")
    finally:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    until = time.monotonic() + 60
    while _alive(int(up)):
        assert time.monotonic() < until, "the servers outlive their pipeline"
        time.sleep(0.1)


def test_every_system_says_its_stages_at_every_size(tmp_path: Path) -> None:
    for name in systems.names():
        for size in ("real", "proof", "smoke"):
            stages = systems.system(name).stages(Plan(tmp_path, size, (0, 1)))
            assert len({stage.name for stage in stages}) == len(stages) > 1, (name, size)
            assert all(stage.makes for stage in stages), (name, size)
            record = Record(name, Plan(tmp_path, size, (0, 1)))
            assert not any(record.done(stage) for stage in stages), (name, size)


def test_a_dry_run_prints_calls_and_tokens_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert pipeline.main(["elicitation", "--size", "smoke", "--out", str(out), "--dry-run"]) == 0
    assert "calls of models" in capsys.readouterr().out
    assert not out.exists()


def test_the_record_is_whole_json(tmp_path: Path) -> None:
    run([rows(tmp_path)], tmp_path)
    noted = json.loads((tmp_path / "pipeline.json").read_text())
    assert noted["stages"]["rows"]["command"] == list(rows(tmp_path).command)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
