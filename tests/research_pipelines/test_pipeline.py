"""The runner: each stage once, in order, with its servers, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import loopback_http
from tests.loopback_http import Asked, Told

from empathetic_recommender import recommender_command
from guerdon.messages import RewardList
from long_work import exit_status
from preference_elicitation import probe as elicitation_probe
from research_pipelines import pipeline, served, superseded, systems, time_left
from research_pipelines.failure import PipelineError
from research_pipelines.plan import Plan, Size
from research_pipelines.record import Record
from research_pipelines.servers import Servers
from research_pipelines.stage import Stage

INFO: dict[str, Any] = {
    **dict.fromkeys(["name", "kind", "description", "version"], "length"),
    "components": {},
    "settings": {},
    "settings_schema": {},
    "scope": "item",
    "runs": "inline",
    "reads": [],
    "needs": [],
    "range": {"low": 0, "high": 1, "better": "higher"},
}
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


def done(stages: list[Stage], out: Path) -> Record:
    """A record of stages that are done, with files in the place of what they make."""
    record = Record("toy", Plan(out))
    for stage in stages:
        record.begin(stage)
        for path in stage.makes:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(stage.name)
        record.end(stage, 1.0)
    return record


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


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


def chain(out: Path, count: int = 4, rewards: str = "") -> list[Stage]:
    """Rows, a corpus made of them, and what comes behind both."""
    corpus, last = out / "work/corpus.jsonl", out / "work/last.jsonl"
    made = ("sqlcot", "corpus", str(out / "rows.jsonl"), "--informative", "1", "--out", str(corpus))
    return [
        rows(out, count),
        Stage("corpus", made, (corpus,), rewards=rewards),
        Stage("last", ("sqlcot", "build", "--rows", "4", "--out", str(last)), (last,)),
    ]


@pytest.mark.parametrize(
    ("changed", "said", "moved"),
    [
        ({"count": 6}, "from 'rows' on (its command changed)", ["rows.jsonl", "work/corpus.jsonl", "work/last.jsonl"]),
        ({"rewards": LENGTH}, "from 'corpus' on (its rewards changed)", ["work/corpus.jsonl", "work/last.jsonl"]),
    ],
)
def test_a_stage_that_changed_is_done_anew_with_all_behind_it_and_nothing_is_deleted(
    changed: dict[str, Any], said: str, moved: list[str], tmp_path: Path
) -> None:
    record, before = done(chain(tmp_path), tmp_path), files(tmp_path)
    stages = chain(tmp_path, **changed)
    assert said in record.supersede(stages)
    assert files(tmp_path / "superseded/1") == {name: before[name] for name in moved}
    assert record.done(stages) == len(stages) - len(moved)
    assert record.supersede(stages) == ""


def test_a_stage_that_was_begun_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    record, run = Record("toy", Plan(tmp_path)), tmp_path / "runs/0"
    record.begin(Stage("train", ("train",), (run / "report.html",)))
    (run / "checkpoints").mkdir(parents=True)
    assert record.supersede([Stage("train", ("train",), (run / "report.html",))]) == ""  # it goes on
    assert record.supersede([Stage("train", ("train", "--steps", "9"), (run / "report.html",))])
    assert (tmp_path / "superseded/1/runs/0/checkpoints").is_dir()


def test_what_is_put_aside_leaves_what_is_kept_beside_it(tmp_path: Path) -> None:
    for name in ("train/0/report.html", "train/1/report.html", "train/1/model/weights", "probe/asked", "probe/report"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    stale = [tmp_path / "train/1/report.html", tmp_path / "probe/report", tmp_path / "gone/report"]
    kept = [tmp_path / "train/0/report.html", tmp_path / "probe/asked"]
    assert superseded.put_aside(tmp_path, stale, kept) == tmp_path / "superseded/1"
    assert files(tmp_path).keys() == {
        *("train/0/report.html", "probe/asked", "superseded/1/probe/report"),
        *("superseded/1/train/1/report.html", "superseded/1/train/1/model/weights"),
    }
    assert superseded.put_aside(tmp_path, stale, kept) is None


def test_a_record_that_was_cut_off_is_said_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pipeline.json").write_text('{"pipeline": "sql-cot", "sta')
    assert pipeline.main(["sql-cot", "--size", "smoke", "--out", str(tmp_path)]) == 1
    assert "pipeline.json is not JSON" in capsys.readouterr().err
    assert files(tmp_path).keys() == {"pipeline.json"}


@pytest.mark.parametrize("noted", [3, {"seconds": "x"}, {"makes": 3}, {"makes": [3]}])
def test_a_record_of_something_else_is_refused_with_its_stage(noted: Any, tmp_path: Path) -> None:
    asked = {"pipeline": "toy", "size": "real", "seeds": [0], "policy": None}
    (tmp_path / "pipeline.json").write_text(json.dumps(asked | {"stages": {"rows": noted}}))
    with pytest.raises(PipelineError, match="of its stage 'rows': choose another --out"):
        Record("toy", Plan(tmp_path))


def test_the_time_left_is_that_of_stages_alike_and_what_nothing_tells_of_is_said() -> None:
    trainings = [Stage(f"train {seed}", ("train", "x", "--seed", f"{seed}"), (), calls=9) for seed in range(3)]
    other = [Stage("data", ("data",), ()), Stage("more data", ("data",), ()), Stage("probe", ("probe",), (), calls=9)]
    took = {"train 0": 60.0, "train 1": 120.0, "data": 600.0}

    def said(done: list[Stage], to_come: list[Stage]) -> str:
        return time_left.said(done, to_come, lambda stage: took.get(stage.name))

    assert said([other[0]], [*trainings, *other[1:]]) == ""
    assert said(trainings[:1], trainings[1:]) == "about 2 min for 2 of the 2 stages to come"
    assert said([*other[:1], *trainings[:2]], [trainings[2], *other[1:]]) == (
        "about 2 min for 1 of the 3 stages to come; nothing done here tells how long the other 2 take"
    )


@pytest.mark.parametrize(("size", "share"), [("smoke", "1"), ("proof", "0.05"), ("real", "0.05")])
def test_a_question_that_can_never_be_scored_does_not_end_the_elicitation(size: Size, share: str) -> None:
    [probe] = [
        stage for stage in systems.system("elicitation").stages(Plan(Path("out"), size)) if stage.name == "probe"
    ]
    assert probe.command[probe.command.index("--may-fail") + 1] == share
    assert elicitation_probe.parser().parse_args(probe.command[1:]).may_fail == float(share)


@pytest.mark.parametrize("size", ["real", "proof", "smoke"])
def test_the_recommender_s_commands_are_taken_and_its_hub_models_have_a_revision(size: Size) -> None:
    stages = systems.system("recommender").stages(Plan(Path("out"), size))
    commands = [stage.command[1:] for stage in stages if stage.command[0] == "recommender"]
    options = [recommender_command.parser().parse_args(command) for command in commands]
    wanted = "main" if size == "real" else None
    assert {one.hub_revision for one in options if one.command in {"evaluate", "simulate"}} == {wanted}
    assert {one.user_revision for one in options if one.command == "simulate"} == {wanted}


def test_the_calls_of_an_imputed_training_are_all_until_it_imputes_and_half_behind() -> None:
    stages = {stage.name: stage for stage in systems.system("chat-quality").stages(Plan(Path("out")))}
    assert (stages["chat_quality-0"].calls, stages["chat_quality_oracle-0"].calls) == (23_040, 38_400)


def test_a_stage_that_fails_ends_the_pipeline_with_its_status(tmp_path: Path) -> None:
    wrong = Stage("wrong", ("sqlcot", "no-such-word"), (tmp_path / "never",))
    with pytest.raises(PipelineError, match="wrong ended with status 2") as failure:
        run([wrong, rows(tmp_path)], tmp_path)
    assert failure.value.status == 2
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_training_that_ended_itself_is_not_said_to_go_on() -> None:
    assert "goes on" in pipeline._next(exit_status.INCOMPLETE)
    assert "comes to the same end" in pipeline._next(exit_status.DIAGNOSED)


def test_a_stage_that_makes_nothing_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="did not make"):
        run([Stage("idle", ("--version",), (tmp_path / "nothing",))], tmp_path)


def test_a_folder_belongs_to_one_size_and_one_set_of_seeds(tmp_path: Path) -> None:
    run([rows(tmp_path)], tmp_path)
    with pytest.raises(PipelineError, match=r"holds seeds \[0\], not \[1, 0\]"):
        Record("toy", Plan(tmp_path, seeds=(1, 0)))


def test_further_seeds_leave_the_trainings_as_they_are_and_compare_anew(tmp_path: Path) -> None:
    def stages(seeds: tuple[int, ...]) -> list[Stage]:
        trained = [tmp_path / f"{seed}.jsonl" for seed in seeds]
        trainings = [
            Stage(f"train {seed}", ("sqlcot", "build", "--rows", "4", "--out", str(out)), (out,))
            for seed, out in zip(seeds, trained, strict=True)
        ]
        return [*trainings, Stage("compare", ("compare", *map(str, trained)), (tmp_path / "compared",))]

    record = Record("toy", Plan(tmp_path, seeds=(0,)))
    for stage in stages((0,)):
        stage.makes[0].touch()
        record.end(stage, 1.0)
    more = Record("toy", Plan(tmp_path, seeds=(0, 1)))
    assert "from 'train 1' on" in more.supersede(stages((0, 1)))
    assert more.done(stages((0, 1))) == 1
    assert files(tmp_path).keys() == {"0.jsonl", "pipeline.json", "superseded/1/compared"}


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


@pytest.fixture
def length_server() -> Iterator[tuple[str, dict[str, str]]]:
    """A server that runs already: its URL, and the versions that it serves, which a test may change."""
    versions = {"length": "length-1", "other": "other-1"}

    def answer(_: Asked) -> Told:
        infos = [INFO | {"name": name, "version": version} for name, version in versions.items()]
        return Told(200 if versions else 404, RewardList.model_validate({"rewards": infos}).model_dump_json())

    with loopback_http.served(answer) as url:
        yield url, versions


def test_a_server_that_runs_already_and_serves_another_version_is_another(
    length_server: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    url, versions = length_server
    made = tmp_path / "scored.jsonl"
    stages = [rows(tmp_path), Stage("score", ("sqlcot", "build", "--rows", "4", "--out", str(made)), (made,), LENGTH)]

    def record() -> Record:
        return Record("toy", Plan(tmp_path), partial(served.versions, url))

    with pipeline._locked(tmp_path) as lock, Servers(tmp_path, {"reward_url": url}, threads=1) as servers:
        pipeline.run(stages, record(), servers, tmp_path, lock)
    noted = json.loads((tmp_path / "pipeline.json").read_text())["stages"]
    assert [noted[stage.name]["rewards"] for stage in stages] == [None, {"length": "length-1"}]
    versions["other"] = "other-2"  # which no stage asks for
    assert record().done(stages) == 2
    versions["length"] = "length-2"
    assert record().done(stages) == 1
    assert "from 'score' on (its rewards changed)" in record().supersede(stages)


def test_a_server_that_does_not_say_what_it_serves_ends_the_pipeline_in_words(
    length_server: tuple[str, dict[str, str]],
) -> None:
    url, versions = length_server
    versions.clear()
    with pytest.raises(PipelineError, match=f"^--reward-url {url}: .* answered 404"):
        served.versions(url)


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
            assert record.done(stages) == 0, (name, size)


@pytest.mark.parametrize("size", ["real", "proof", "smoke"])
@pytest.mark.parametrize("name", systems.names())
def test_a_training_is_resumed_as_soon_as_there_is_a_run_to_go_on_with(name: str, size: Size, tmp_path: Path) -> None:
    """A run that died before its first checkpoint is refused without --resume, too."""
    stages = systems.system(name).stages(Plan(tmp_path, size, (0, 1)))
    trainings = [stage for stage in stages if stage.command[0] == "train"]
    assert trainings
    for stage in trainings:
        assert "--resume" not in stage.arguments({}, tmp_path)
        run = Path(stage.command[stage.command.index("--out") + 1])
        run.mkdir(parents=True)
        (run / "manifest.json").touch()
        assert stage.arguments({}, tmp_path)[-1] == "--resume"


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
