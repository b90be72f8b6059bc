"""`guerdon judge grade` and `guerdon judge audit`, against a judge server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest

from guerdon.cli import main


def rows_file(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def judge_command(judge: Any, command: str, file: str, out: Path, *arguments: str) -> int:
    return main(["judge", command, file, "--judge-url", judge.url, "--out", str(out), *arguments])


LLMBAR = Path(__file__).parents[3] / "shared" / "data" / "llmbar_natural.json"
ANSWERS = [{"prompt": f"q{n}", "answer": "e" * n + "x", "reference": "e"} for n in range(8)]


def test_answers_are_graded_in_their_order_with_a_summary(judge: Any, tmp_path: Path) -> None:
    file = rows_file(tmp_path / "a.jsonl", ANSWERS)
    assert judge_command(judge, "grade", file, tmp_path / "out", "--criterion", "letters:2=many e") == 0
    grades = [json.loads(line) for line in (tmp_path / "out" / "grades.jsonl").read_text().splitlines()]
    assert [(one["prompt"], one["score"]) for one in grades] == [(f"q{n}", float(n)) for n in range(8)]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["score"]["mean"] == summary["criteria"]["letters"]["mean"] == 3.5
    assert summary["score"]["sd"] == pytest.approx(6**0.5)
    assert judge.requests[0].criteria[0].weight == 2


def test_a_failed_grade_is_in_no_mean_and_is_asked_again(judge: Any, tmp_path: Path) -> None:
    file = rows_file(tmp_path / "a.jsonl", [*ANSWERS, {"prompt": "q", "answer": "unjudgeable"}])
    assert judge_command(judge, "grade", file, tmp_path / "out") == 3
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["score"]["n"], summary["failures"]) == (8, {"judge_refused": 1})
    judge.requests.clear()
    judge_command(judge, "grade", file, tmp_path / "out")
    assert [len(request.answers) for request in judge.requests] == [1]


LABELLED = [
    {"prompt": f"q{n}", "answer_a": "e" * (n % 4), "answer_b": "ee", "label": "b" if n % 4 < 2 else "a"}
    for n in range(12)
]


def test_an_audit_measures_agreement_with_human_labels(judge: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert judge_command(judge, "audit", rows_file(tmp_path / "a.jsonl", LABELLED), out, "--samples", "3") == 0
    found = json.loads((out / "audit.json").read_text())["agreement"]
    assert found["n"] == 12
    assert found["accuracy"]["value"] == pytest.approx(9 / 12)  # the judge calls the three pairs of "ee" ties
    assert found["constant_judge_accuracy"] == 0.5
    assert found["repeat_flip_rate"] == found["repeat_flip_rate"] | {"value": 0.0, "n": 18}  # ties had no calls
    assert "Cohen's κ" in (page := (out / "audit.html").read_text()).replace("&#39;", "'")
    assert "<script" not in page


def test_a_judge_that_wavers_is_caught_by_its_repeats(judge: Any, tmp_path: Path) -> None:
    count = iter(range(10_000))
    judge.taste = lambda a, b, first: "a" if next(count) % 3 else "b"
    out = tmp_path / "out"
    judge_command(judge, "audit", rows_file(tmp_path / "a.jsonl", LABELLED), out, "--samples", "3")
    assert json.loads((out / "audit.json").read_text())["agreement"]["repeat_flip_rate"]["value"] > 0


def test_grades_are_audited_too(judge: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "answer": "e" * n, "grade": str(min(10, n + n % 2))} for n in range(10)]
    assert judge_command(judge, "audit", rows_file(tmp_path / "a.jsonl", rows), tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "audit.json").read_text())["agreement"]
    assert found["kind"] == "grades"
    assert found["accuracy"]["value"] == 0.5


def test_the_same_row_twice_is_one_call(judge: Any, tmp_path: Path) -> None:
    file = rows_file(tmp_path / "a.jsonl", [*ANSWERS, ANSWERS[1]])
    assert judge_command(judge, "grade", file, tmp_path / "out") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["answers"], summary["usage"]["calls"]) == (9, 8)
    assert len(judge.paid) == 8


def test_rows_of_llmbar_are_audited_as_they_are(judge: Any, tmp_path: Path) -> None:
    rows = [
        {"input": f"q{n}", "output_1": "e" * (n % 3), "output_2": "e", "label": "12"[n % 3 < 1]} for n in range(1, 9)
    ]
    assert judge_command(judge, "audit", rows_file(tmp_path / "a.jsonl", rows), tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "audit.json").read_text())["agreement"]
    assert found["accuracy"]["value"] == pytest.approx(5 / 8)  # the three pairs of the same answers are ties


@pytest.mark.skipif(not LLMBAR.exists(), reason="LLMBar is not here")
def test_the_file_of_llmbar_is_audited_as_it_is(judge: Any, tmp_path: Path) -> None:
    assert judge_command(judge, "audit", str(LLMBAR), tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["agreement"]["n"] == 100


def test_a_judge_with_square_brackets_in_its_name_is_shown_as_it_is(
    judge: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], described: Any
) -> None:
    judge.judges = [described("loop[/b]x", model="a[/i]", default=True)]
    assert judge_command(judge, "audit", rows_file(tmp_path / "a.jsonl", LABELLED), tmp_path / "out") == 0
    assert "loop[/b]x (a[/i])" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("criteria", "said"),
    [
        (["a=b", "a=c"], "--criterion a is given more than once"),
        (["explanation=b"], "where the judge gives its reasons"),
        ([f"c{n}=x" for n in range(21)], "20 criteria at most"),
    ],
)
def test_criteria_that_no_judge_would_take_are_refused_before_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], criteria: list[str], said: str
) -> None:
    options = [part for one in criteria for part in ("--criterion", one)]
    file = rows_file(tmp_path / "a.jsonl", ANSWERS)
    assert main(["judge", "grade", file, "--out", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("criterion", ["a:0=b", f"a={'x' * 8001}", "A=b"])
def test_a_criterion_that_is_none_is_refused_with_the_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], criterion: str
) -> None:
    with pytest.raises(SystemExit):
        main(["judge", "grade", "a.jsonl", "--out", str(tmp_path / "out"), "--criterion", criterion])
    assert "argument --criterion" in (said := capsys.readouterr().err)
    assert "invalid criterion value" not in said


@pytest.mark.parametrize(
    ("command", "rows", "said"),
    [
        ("grade", [{"prompt": "q", "text": "a"}], "has no column 'answer'; it has: prompt, text"),
        ("audit", [{"prompt": "q", "answer_a": "a", "answer_b": "b"}], "has no column 'label'"),
        ("audit", [{"prompt": "q", "answer_a": "a", "answer_b": "b", "label": "left"}], "it must be a, b or tie"),
        ("audit", [{"prompt": "q", "answer": "a", "grade": "11"}], "it must be a number from 0 to 10"),
        ("grade", [], "has no rows"),
        ("grade", [{"prompt": "q", "answer": "a", "reference": 42}], "row 1: column 'reference' holds a number"),
        ("grade", [{"prompt": "q", "answer": "x\ud800"}], "row 1: column 'answer' is no valid Unicode"),
        ("audit", [{"prompt": "q", "answer_a": 7, "answer_b": "b", "label": "a"}], "column 'answer_a' holds a number"),
        ("audit", [{"prompt": "q", "answer_a": "a", "answer_b": "b", "label": "a", "reference": []}], "holds a list"),
        ("audit", [{"prompt": "q", "answer": {}, "grade": "1"}], "column 'answer' holds an object"),
    ],
)
def test_wrong_files_are_refused_by_row_and_column(
    judge: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    rows: list[dict[str, Any]],
    said: str,
) -> None:
    assert judge_command(judge, command, rows_file(tmp_path / "a.jsonl", rows), tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not judge.requests
