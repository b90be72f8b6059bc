"""How a run goes on: what it was, what it left behind, and what it must not do twice."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from grpo_trainer import run_parts
from grpo_trainer.arguments import parsed
from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.imputation.imputer import Imputer
from grpo_trainer.record import checkpoints, earlier_run, ledger, manifest, run_lock
from grpo_trainer.record.ledger import Ledger
from grpo_trainer.run import run
from grpo_trainer.stop_signal import StopSignal
from grpo_trainer.train import main

TinyRun = Callable[..., Ready]
LETTERS, DIGITS = {"name": "letters", "weight": 1.0}, {"name": "digits", "weight": 0.5}
IMPUTED = {"imputation": {"reward": "letters", "from_share": 0.0, "q": 0.75}, "liveness": {"completions": 0}}


def steps(out: Path) -> list[int]:
    return [line["step"] for line in ledger.read_metrics(out)]


def adapter(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter/adapter_model.safetensors")


# What has come to its end, and what it left


def test_a_finished_run_saves_again_and_trains_no_further_and_goes_on_only_where_it_gets_more_steps(
    tiny_run: TinyRun, reward_server: Any, tiny_policy: Path, tmp_path: Path
) -> None:
    first = tiny_run()
    assert run(first, StopSignal()) == 0
    trained, asked = adapter(first.out), len(reward_server.requests)
    shutil.rmtree(first.out / "adapter")  # as a kill -9 leaves it that comes before the policy is saved
    (first.out / "report.html").unlink()
    assert run(tiny_run(resume=True), StopSignal()) == 0
    assert steps(first.out) == [1, 2]
    assert len(reward_server.requests) == asked
    assert (first.out / "report.html").exists()
    again = adapter(first.out)
    assert any(bool(weight.any()) for weight in trained.values())
    for name, weight in trained.items():
        torch.testing.assert_close(again[name], weight, rtol=0, atol=0)

    # It is the same run in another folder, with other files of the same policy, and another server's address.
    out = first.out.rename(tmp_path / "moved")
    stale: list[bool] = []

    def seen(reward: str, index: int) -> bool:
        stale.append(any((out / name).exists() for name in ("adapter", "report.html")))
        return False

    reward_server.fails = seen
    longer: Any = {
        "policy": {"model": str(shutil.copytree(tiny_policy, tmp_path / "policy"))},
        "services": {"reward_url": reward_server.url.replace("127.0.0.1", "localhost")},
        "grpo": {"max_steps": 3},
    }
    assert run(replace(tiny_run(resume=True, **longer), out=out), StopSignal()) == 0
    assert steps(out) == [1, 2, 3]
    assert stale
    assert not any(stale)
    assert (out / "adapter/adapter_model.safetensors").exists()
    assert not list(out.glob("manifest-*.json"))


# Another run


def test_a_run_that_is_another_is_not_gone_on_with_unless_that_is_asked_for(
    tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tiny_run(rewards=[LETTERS, DIGITS])
    assert run(first, StopSignal()) == 0
    left = {path: path.read_bytes() for path in first.out.rglob("*") if path.is_file()}
    changes: Any = {
        "rewards": [LETTERS, {"name": "vowels", "weight": 0.5}],
        "grpo": {"max_steps": 3, "num_generations": 2},
    }
    with pytest.raises(RunFileError) as refused:
        run(tiny_run(resume=True, **changes), StopSignal())
    for said in (
        "grpo.num_generations was 4 and is 2",
        "reward digits was version digits-1, weight 0.5 and is not there",
        "reward vowels was not there and is version vowels-1, weight 0.5",
        "--resume-changed",
    ):
        assert said in str(refused.value)
    assert left == {path: path.read_bytes() for path in first.out.rglob("*") if path.is_file()}

    ready = replace(tiny_run(resume=True, **changes), resume_changed=True)
    assert run(ready, StopSignal()) == 0
    assert steps(ready.out) == [1, 2, 3]
    assert (ready.out / "manifest-1.json").read_bytes() == left[ready.out / "manifest.json"]
    assert set(ledger.read_manifest(ready.out)["rewards"]) == {"letters", "vowels"}
    assert "its manifest is kept as" in capsys.readouterr().out


def described(ready: Ready) -> dict[str, Any]:
    policy = {"parameters": 5, "dtype": "torch.float32", "fingerprint": "f" * 32, "model": "a"}
    as_read: dict[str, Any] = json.loads(json.dumps(manifest.described(ready) | {"policy": policy}))
    return as_read


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": {"lora": {"r": 4}}}, "policy.lora.r was 16 and is 4"),
        ({"rewards": [LETTERS]}, "reward vowels was version vowels-1, weight 0.5 and is not there"),
        ({"rewards": [LETTERS, {"name": "vowels"}]}, "reward vowels was version vowels-1, weight 0.5 and is version"),
        (IMPUTED, "imputation.q was not there and is 0.75"),
    ],
)
def test_each_setting_that_training_depends_on_is_named(tiny_run: TinyRun, changes: Any, said: str) -> None:
    found = earlier_run.differences(described(tiny_run()), described(tiny_run(**changes)))
    assert said in "; ".join(found)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"services": {"reward_url": "http://elsewhere", "deadline_s": 9.0}},
        {"grpo": {"max_steps": 99, "save_steps": 7, "report_to": "tensorboard"}},
        {"policy": {"model": "/another/place"}, "dataset": {"path": "/another/place"}},
        {"output": {"merged": True}, "liveness": {"steps": 0}},
    ],
)
def test_where_a_run_lies_and_how_long_it_is_is_no_difference(tiny_run: TinyRun, changes: Any) -> None:
    assert earlier_run.differences(described(tiny_run()), described(tiny_run(**changes))) == []


def test_other_versions_rows_policies_and_ranks_are_differences(tiny_run: TinyRun) -> None:
    before, now = described(tiny_run()), described(tiny_run(dataset={"seed": 3}))
    now["rewards"]["letters"]["version"] = "letters-2"
    now["dataset"]["fingerprint"] = "0" * 32
    now["policy"]["fingerprint"] = "1" * 32
    now["ranks"] = 2
    found = "; ".join(earlier_run.differences(before, now))
    assert "reward letters was version letters-1, weight 1 and is version letters-2, weight 1" in found
    assert "the number of ranks was 1 and is 2" in found
    assert "dataset.seed was not there and is 3" in found
    assert found.count("fingerprint") == 4
    del now["policy"]  # before it is loaded
    assert "the policy" not in "; ".join(earlier_run.differences(before, now))


def test_a_setting_that_this_version_has_added_is_no_difference_at_its_default(tiny_run: TinyRun) -> None:
    before = described(tiny_run())
    del before["config"]["policy"]["lora"]["dropout"]
    assert earlier_run.differences(before, described(tiny_run())) == []


@pytest.mark.parametrize("content", [None, "{}", '{"config": 3}'])
def test_a_run_of_which_nothing_is_known_is_no_same_run(tiny_run: TinyRun, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunFileError, match="nobody knows"):
        earlier_run.require_same(tmp_path, described(tiny_run()), changed=False)
    earlier_run.require_same(tmp_path, described(tiny_run()), changed=True)


def test_another_run_is_refused_before_anything_is_scored_or_loaded(
    tiny_run: TinyRun, reward_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, file = tiny_run(), tmp_path / "tiny.toml"
    Ledger(before.out).manifest(manifest.described(before))
    file.write_text(
        '[policy]\nmodel = "no/where"\nprompt = "plain"\n[dataset]\nname = "sql_cot"\nrows = 10\n'
        f'[[rewards]]\nname = "letters"\n[services]\nreward_url = "{reward_server.url}"\n'
    )
    assert main([str(file), "--out", str(before.out), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "grpo.num_generations was 4 and is not there" in said
    assert "the dataset was 8 training rows" in said
    assert "reward vowels was version vowels-1, weight 0.5 and is not there" in said
    assert reward_server.requests == []


def test_a_changed_run_is_a_resumed_one() -> None:
    assert parsed(["a.toml", "--resume-changed"]).resume
    assert not parsed(["a.toml", "--resume"]).resume_changed


# Two processes


def test_one_process_at_a_time_trains_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text('[policy]\nmodel = "a/b"\n[dataset]\nname = "sql_cot"\n[[rewards]]\nname = "letters"\n')
    out = tmp_path / "out"
    out.mkdir()
    with run_lock.held(out):
        with pytest.raises(NotReadyError, match="another `guerdon train` writes to"), run_lock.held(out):
            pass
        assert main([str(file), "--out", str(out)]) == 1
    assert "another `guerdon train` writes to" in capsys.readouterr().err
    with run_lock.held(out):
        assert sorted(path.name for path in out.iterdir()) == [".lock"]


# Imputation


def imputing(tiny_run: TinyRun, steps: int, resume: bool = False) -> Ready:
    grpo = {"max_steps": steps, "gradient_accumulation_steps": 4}
    return tiny_run(resume=resume, grpo=grpo, **IMPUTED)


def batches(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "imputation.json").read_text())["batches"])


def test_a_checkpoint_is_not_whole_before_its_imputation_is_saved(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Imputer, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Imputer, "save", killed)
    ready = imputing(tiny_run, 2)
    with pytest.raises(KeyboardInterrupt):
        run(ready, StopSignal())
    assert checkpoints.last_whole(ready.out) is None


def test_a_run_stopped_within_a_step_saves_the_imputation_of_the_step_before_and_is_told_where_it_is_lost(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class StopsInTheThirdStep(TrainerCallback):
        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 2:  # the third batch has been scored, and learnt from
                os.kill(os.getpid(), signal.SIGTERM)

    made = run_parts.make_trainer

    def stopping(*parts: Any) -> Any:
        trainer = made(*parts)
        trainer.add_callback(StopsInTheThirdStep())
        return trainer

    with monkeypatch.context() as patched, StopSignal() as stop:
        patched.setattr(run_parts, "make_trainer", stopping)
        first = imputing(tiny_run, 4)
        assert run(first, stop) == 143
    assert steps(first.out) == [1, 2]
    assert batches(first.out / "checkpoints/checkpoint-2") == 2
    (first.out / "checkpoints/checkpoint-2/imputation.json").unlink()
    assert run(imputing(tiny_run, 3, resume=True), StopSignal()) == 0
    assert "says nothing of the imputation" in " ".join(capsys.readouterr().out.split())


# Signals of several ranks


def test_ranks_end_by_the_signal_that_one_of_them_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with StopSignal() as stop:
        stop.agree([None, None])
        assert stop.asked is None
        stop.agree([None, signal.SIGTERM])  # the other rank's
        assert stop.status == 143
        os.kill(os.getpid(), signal.SIGTERM)  # its own comes later: the launcher sends one to each
        stop.release()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_comes_when_the_ranks_have_trained_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.sent, stop.asked) == (signal.SIGTERM, None)
