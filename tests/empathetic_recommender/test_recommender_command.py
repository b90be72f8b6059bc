import json
from pathlib import Path
from typing import Any

import pytest
from tests.loopback_http import Asked, Told, served

from empathetic_recommender import critic_scores, made_of
from empathetic_recommender.film_dialogues.dialogues import rows
from empathetic_recommender.recommender_command import main, parser
from empathetic_recommender.recommender_error import RecommenderError
from long_work import claim, json_file

TITLES = {"Alien": 0.5, "Moon": 0.2}
SCORED: dict[str, Any] = {"reply": "a", "reference": "b", "titles": TITLES, "relevant": ["Moon"], "liked": []}
ANSWERED = {
    "evaluate": ("replies.jsonl", made_of.replies),
    "simulate": ("simulated.jsonl", made_of.simulated),
}


def command(name: str, folder: Path, *more: str) -> list[str]:
    told = ["--model", str(folder / "model"), "--dialogues", str(folder / "dialogues.jsonl"), "--out", str(folder)]
    return [name, *told, *(("--user", "rule") if name == "simulate" else ()), *more]


@pytest.fixture(params=["evaluate", "simulate"])
def answered(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A folder in which a policy has given every answer, and whose model nobody needs any more."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.safetensors").write_bytes(b"weights")
    dialogues = rows(2, seed=0)
    json_file.write_rows(tmp_path / "dialogues.jsonl", dialogues)
    name: str = request.param
    file, making = ANSWERED[name]
    claim.stake(tmp_path / file, making(parser().parse_args(command(name, tmp_path))))
    ended = {"messages": [{"content": "hm"}, {"content": "no"}], "turns": 1, "end": "leave"}
    kept = [row | SCORED | ended | ({"id": row["dialogue"]} if name == "simulate" else {}) for row in dialogues]
    json_file.write_rows(tmp_path / file, kept)
    return name, tmp_path


def test_answers_that_are_there_are_not_made_again(answered: tuple[str, Path]) -> None:
    name, folder = answered
    assert main(command(name, folder)) == 0
    made = json.loads((folder / ("metrics.json" if name == "evaluate" else "simulation.json")).read_text())["made_of"]
    assert made["model"].startswith("sha256:")


def test_answers_of_other_weights_or_settings_are_not_taken_for_this_model_s(
    answered: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    name, folder = answered
    assert main(command(name, folder, "--temperature", "0.5")) == 2
    assert "temperature was 1.0 and is 0.5. Choose another --out" in capsys.readouterr().err
    (folder / "model/model.safetensors").write_bytes(b"others!")
    assert main(command(name, folder)) == 2
    assert 'was made otherwise: model was "sha256:' in capsys.readouterr().err


def scored(asked: Asked, version: str, **score: Any) -> Told:
    scores = [score] * len(json.loads(asked.body)["items"])
    return Told(200, json.dumps({"rewards": [{"reward": "critic", "version": version, "scores": scores}]}))


@pytest.mark.parametrize("answered", ["evaluate"], indirect=True)
@pytest.mark.parametrize(("more", "status"), [([], 3), (["--may-fail", "0.4"], 3), (["--may-fail", "1"], 0)])
def test_an_evaluation_without_scores_is_no_success(answered: tuple[str, Path], more: list[str], status: int) -> None:
    name, folder = answered
    with served(lambda asked: scored(asked, "1", value=None, status="model_error", error="broken")) as url:
        assert main(command(name, folder, "--reward-url", url, *more)) == status


@pytest.mark.parametrize("answered", ["evaluate"], indirect=True)
def test_an_evaluation_says_which_critic_scored(answered: tuple[str, Path]) -> None:
    name, folder = answered
    with served(lambda asked: scored(asked, "critic.1.abc", value=0.5)) as url:
        assert main(command(name, folder, "--reward-url", url)) == 0
    by = {"reward": "critic", "version": "critic.1.abc"}
    assert json.loads((folder / "metrics.json").read_text())["scored_by"] == by


def test_scores_of_two_versions_of_a_critic_are_refused() -> None:
    replies = [{"conversation": [{"role": "user", "content": "Hi."}], "reply": str(one)} for one in range(40)]
    with (
        served(lambda asked: scored(asked, f"of {len(json.loads(asked.body)['items'])}", value=0.5)) as url,
        pytest.raises(RecommenderError, match="by 'critic' of version of 32, later ones by of 8"),
    ):
        critic_scores.of(replies, url, "critic")


def test_a_hub_id_without_its_commit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_file.write_rows(tmp_path / "dialogues.jsonl", rows(1, seed=0))
    told = ["--model", "some/model", "--dialogues", str(tmp_path / "dialogues.jsonl"), "--out", str(tmp_path / "out")]
    assert main(["evaluate", *told]) == 2
    assert "pin it with hub_revision" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"titles": None}, "line 1, titles:"),
        ({"titles": {"Alien": None}}, "line 1, titles.Alien:"),
        ({"titles": {"Alien": float("nan")}}, "line 1, titles.Alien:"),
        ({"relevant": None}, "line 1, relevant:"),
        ({"reply": None}, "line 1, reply:"),
        ({"critic": 3}, "line 1, critic:"),
        ({"critic": {"value": float("inf")}}, "line 1, critic.value:"),
    ],
)
def test_what_is_no_scored_reply_is_named_by_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], said: str
) -> None:
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(SCORED | wrong)}\n")
    assert main(["metrics", str(tmp_path / "a.jsonl")]) == 2
    assert said in capsys.readouterr().err


def test_what_is_undefined_is_null_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_file.write_rows(tmp_path / "a.jsonl", [SCORED | {"relevant": [], "critic": {"value": None}}])
    assert main(["metrics", str(tmp_path / "a.jsonl")]) == 0
    found = json.loads(capsys.readouterr().out)
    undefined = {name for name, value in found["metrics"].items() if value is None}
    assert undefined == set(found["undefined"])
    assert {"recall@1", "AUC.global", "bleu_3.single", "dist_2.ratio", "critic"} <= undefined


def arm(folder: Path, value: float, version: str = "1") -> str:
    row = SCORED | {"conversation": [{"role": "user", "content": "Hi."}], "critic": {"value": value, "components": {}}}
    json_file.write_rows(folder / "scored.jsonl", [row | {"id": str(number)} for number in range(4)])
    by = {"reward": "critic", "version": version}
    json_file.write(folder / "metrics.json", {"metrics": {"critic": value}, "scored_by": by})
    return str(folder)


def test_a_report_of_a_run_whose_name_looks_like_a_formula_is_drawn(tmp_path: Path) -> None:
    run = tmp_path / r"a$\frac$b"
    json_file.write_rows(run / "metrics.jsonl", [{"reward": {"mean": 0.1}}, {"reward": {"mean": None}}])
    arms = ["--before", arm(tmp_path / "before", 0.2), "--after", arm(tmp_path / "after", 0.4)]
    assert main(["report", *arms, "--training", str(run), "--out", str(tmp_path / "out")]) == 0
    assert "data:image/png" in (tmp_path / "out/report.html").read_text()


def test_a_report_of_arms_that_two_critics_scored_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ["--before", arm(tmp_path / "before", 0.2), "--after", arm(tmp_path / "after", 0.4, version="2")]
    assert main(["report", *arms, "--out", str(tmp_path / "out")]) == 2
    said = (
        f"{tmp_path}/before was scored by a critic of version 1, {tmp_path}/after by 2: their values cannot be compared"
    )
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["before/metrics.json", "after/scored.jsonl", "run/metrics.jsonl"])
def test_a_report_without_its_files_is_refused_with_the_command_that_makes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    json_file.write_rows(tmp_path / "run/metrics.jsonl", [{"reward": {"mean": 0.1}}])
    arms = ["--before", arm(tmp_path / "before", 0.2), "--after", arm(tmp_path / "after", 0.4)]
    (tmp_path / missing).unlink()
    assert main(["report", *arms, "--training", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / missing.partition("/")[0]) in said
    assert "`guerdon " in said
