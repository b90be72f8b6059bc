"""A small policy, trained here to score by one word of the question, evaluated and put to use as a filter."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer.sql_cot import row_file
from grpo_trainer.sql_cot.evaluate import named
from grpo_trainer.sql_cot.row_scores import read
from grpo_trainer.sql_cot.rows import Row
from grpo_trainer.sql_cot.sqlcot_command import main
from long_work import json_file

ANSWERS = {
    "good": "<think>a</think><score>0.90</score>",
    "bad": "<think>a</think><score>0.20</score>",
    "odd": "<think>a</think>",
}
TARGETS = {"good": 1.0, "bad": 0.0, "odd": 0.5}
COUNTS = {"good": 5, "bad": 4, "odd": 3}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    words = [word for word, count in COUNTS.items() for _ in range(count)]
    return [
        {"sql": f"SELECT {n}", "cot": "x", "nl": word, "target": TARGETS[word], "query_id": str(n)}
        for n, word in enumerate(words)
    ]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Path:
    from small_model import build

    folder = tmp_path_factory.mktemp("small")
    examples = [
        {"prompt": f"{row['nl']}\n{row['sql']}\n{row['cot']}", "completion": ANSWERS[row["nl"]]} for row in rows * 8
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
    size = {"steps": 160, "batch": 16, "hidden": 32, "layers": 2, "heads": 2, "learning-rate": 0.01}
    options = [word for name, value in size.items() for word in (f"--{name}", str(value))]
    assert build.main([str(folder / "corpus.jsonl"), "--out", str(folder / "model"), *options]) == 0
    return folder / "model"


@pytest.fixture
def file(tmp_path: Path, rows: list[Row]) -> Path:
    json_file.write_rows(tmp_path / "rows.jsonl", rows)
    return tmp_path / "rows.jsonl"


ASKED = ["--prompt", "short", "--max-tokens", "40", "--batch", "5"]


def test_a_filter_divides_rows_by_score_and_keeps_those_without_one_apart(
    policy: Path, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "filtered"
    command = ["filter", str(file), "--threshold", "0.5", "--model", str(policy), "--out", str(out), *ASKED]
    assert main(command) == 0
    parts = {name: lines(out / f"{name}.jsonl") for name in ("good", "below", "unscored")}
    assert [len(part) for part in parts.values()] == list(COUNTS.values())
    assert {row["policy_score"] for row in parts["good"]} == {0.9}
    assert {row["policy_score"] for row in parts["unscored"]} == {None}
    assert {row["reason"] for row in parts["unscored"]} == {"no single closed score tag behind the think block"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["unscored_reasons"] == {"no single closed score tag behind the think block": 3}
    assert row_file.read(out / "good.jsonl")  # a run can read what was kept


def test_an_interrupted_evaluation_goes_on_with_what_is_there_and_ends_the_same(
    policy: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", str(file), "--model", f"one={policy}", "--out", str(out), *ASKED]
    assert main(command) == 0
    kept = out / "scores" / "one" / "completions.jsonl"
    whole = kept.read_text()
    kept.write_text(whole[: whole.index("\n") + 20])  # one batch, and a line that was cut off
    capsys.readouterr()
    first = json.loads((out / "evaluation.json").read_text())
    assert main(command) == 0
    assert kept.read_text() == whole
    said = capsys.readouterr().err
    assert "one, batches of rows: 1/3 are there already" in said
    assert "one, batches of rows: 3/3, done" in said
    assert json.loads((out / "evaluation.json").read_text())["models"] == first["models"]


def test_an_evaluation_has_figures_intervals_and_a_page_without_network(
    policy: Path, file: Path, tmp_path: Path
) -> None:
    shutil.copytree(policy, tmp_path / "copy")
    out = tmp_path / "out"
    models = ["--model", f"before={policy}", "--model", f"after={tmp_path / 'copy'}"]
    assert (
        main(["evaluate", str(file), *models, "--out", str(out), *ASKED, "--samples", "1", "--temperature", "0"]) == 0
    )
    found = json.loads((out / "evaluation.json").read_text())
    assert found["models"]["after"]["scored_rows"] == 9
    assert found["models"]["after"]["format_validity"] == pytest.approx(9 / 12)
    assert found["models"]["after"]["spearman"]["value"] == pytest.approx(1.0)
    assert found["models"]["after"]["mae"]["value"] == pytest.approx((5 * 0.1 + 4 * 0.2) / 9)
    assert found["gains"]["after"]["skill"]["value"] == 0
    page = (out / "evaluation.html").read_text()
    assert "<svg" in page
    assert "src=" not in page
    assert (out / "scatter.png").read_bytes().startswith(b"\x89PNG")


def test_scores_of_other_weights_at_the_same_place_are_not_taken_over(
    policy: Path, tiny_policy: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = shutil.copytree(policy, tmp_path / "model")
    command = ["filter", str(file), "--threshold", "0.5", "--out", str(tmp_path / "out"), *ASKED, "--format", "plain"]
    assert main([*command, "--model", str(place)]) == 0
    shutil.rmtree(place)
    shutil.copytree(tiny_policy, place)
    assert main([*command, "--model", str(place)]) == 2
    assert "completions.jsonl was made otherwise: weights was" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_refused_in_a_sentence(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["filter", str(file), "--threshold", "0.5", "--out", str(tmp_path / "out")]
    assert main([*command, "--model", str(tmp_path / "missing")]) == 2
    assert "no tokenizer for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "0.5", "--samples", "4"], "several samples at --temperature 0"),
        (["--threshold", "7"], "'7' is not a share from 0 to 1"),
        (["--threshold", "0.5", "--temperature", "-1"], "'-1' is not a number from 0 on"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    options: list[str], said: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: str | int | None = main(["filter", str(file), "--model", "m", "--out", str(tmp_path / "out"), *options])
    except SystemExit as error:  # what argparse refuses by itself
        status = error.code
    assert status == 2
    assert said in capsys.readouterr().err


def test_a_row_s_score_is_the_mean_of_its_valid_samples_and_none_without_any() -> None:
    found = read([ANSWERS["good"], "nothing", ANSWERS["bad"]])
    assert (found.score, found.valid, found.samples) == (pytest.approx(0.55), 2, 3)
    assert read(["nothing", ANSWERS["odd"], "?"])[:4] == (None, 0, 3, "no single closed think block")


def test_two_models_of_one_name_are_refused() -> None:
    assert named(["before=a/b", "c/d"]) == {"before": "a/b", "d": "c/d"}
    with pytest.raises(ValueError, match="two models are named 'b'"):
        named(["a/b", "b=c"])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
