"""`guerdon compare` from the command line, against a judge server on loopback."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from guerdon.cli import main


def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def compare(judge: Any, out: Path, *arguments: str) -> int:
    return main(["compare", "--judge-url", judge.url, "--num", "30", "--out", str(out), *arguments])


def test_two_files_of_outputs_are_compared_and_reported(judge: Any, two_outputs: list[str], tmp_path: Path) -> None:
    assert compare(judge, tmp_path / "out", *two_outputs) == 0
    found = report(tmp_path / "out")
    rate = found["pairs"][0]["win_rate"]
    assert (rate["wins"], rate["ties"], rate["losses"], rate["n"]) == (20, 10, 0, 30)
    assert found["headlines"] == [found["pairs"][0]["verdict"]]
    assert found["headlines"][0].startswith("good won")
    assert found["usage"]["tokens"] == 60 * 150
    assert found["usage"]["calls"] == 60
    assert [len(sample["verdicts"][0]["orders"]) for sample in found["samples"]] == [2] * 30


def test_the_judge_is_shown_no_name_of_a_model(judge: Any, two_outputs: list[str], tmp_path: Path) -> None:
    compare(judge, tmp_path / "out", *two_outputs)
    sent = {name for request in judge.requests for one in request.comparisons for name in one.model_dump()}
    assert sent == {"prompt", "answer_a", "answer_b", "reference", "criteria"}


def test_a_second_run_asks_nothing_and_writes_the_same_report(
    judge: Any, two_outputs: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    compare(judge, out, *two_outputs)
    before = {name: (out / name).read_bytes() for name in ("report.json", "report.html")}
    judge.requests.clear()
    compare(judge, out, *two_outputs)
    assert not judge.requests
    assert before == {name: (out / name).read_bytes() for name in before}


def test_swapping_the_models_mirrors_the_win_rate(judge: Any, two_outputs: list[str], tmp_path: Path) -> None:
    compare(judge, tmp_path / "one", *two_outputs)
    compare(judge, tmp_path / "other", *two_outputs[2:], *two_outputs[:2])
    one, other = (report(tmp_path / name)["pairs"][0]["win_rate"] for name in ("one", "other"))
    assert (one["wins"], one["losses"]) == (other["losses"], other["wins"])
    assert one["rate"] == pytest.approx(1 - other["rate"])


def test_failed_verdicts_are_no_ties_and_are_asked_again(judge: Any, two_outputs: list[str], tmp_path: Path) -> None:
    judge.fails = lambda one: "judge_timeout" if one.prompt.endswith("7") else None
    assert compare(judge, tmp_path / "out", *two_outputs) == 3
    found = report(tmp_path / "out")
    assert found["failures"]["verdicts"] == {"judge_timeout": 3}
    assert found["pairs"][0]["win_rate"]["n"] == 27
    assert any("3 of 30 comparisons failed" in warning for warning in found["warnings"])
    judge.fails = lambda one: None
    judge.requests.clear()
    assert compare(judge, tmp_path / "out", *two_outputs) == 0
    assert sum(len(request.comparisons) for request in judge.requests) == 3
    assert report(tmp_path / "out")["pairs"][0]["win_rate"]["n"] == 30


def test_an_exhausted_budget_leaves_a_report_that_says_so(judge: Any, two_outputs: list[str], tmp_path: Path) -> None:
    judge.fails = lambda one: "judge_budget" if len(judge.paid) >= 20 else None
    assert compare(judge, tmp_path / "out", "--max-cost", "0.5", *two_outputs) == 3
    found = report(tmp_path / "out")
    assert judge.requests[0].allowance.cost == 0.5
    assert found["warnings"][0].startswith("Partial: the budget ended before")
    assert found["pairs"][0]["win_rate"]["n"] + found["failures"]["verdicts"]["judge_budget"] == 30


def test_three_models_are_ranked_over_every_pair(
    judge: Any, two_outputs: list[str], tmp_path: Path, write: Any
) -> None:
    third = write(tmp_path / "third.json", "third", {f"question {number}": "e" * 12 for number in range(30)})
    assert compare(judge, tmp_path / "out", *two_outputs, "--outputs", str(third)) == 0
    found = report(tmp_path / "out")
    assert [(pair["model_a"], pair["model_b"]) for pair in found["pairs"]] == [
        ("good", "bad"),
        ("good", "third"),
        ("bad", "third"),
    ]
    assert found["ranking"]["models"][0]["model"] == "third"
    assert len(found["headlines"]) == 3


def test_a_stand_in_of_a_judge_is_named_in_page_and_terminal(
    judge: Any, two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], described: Any
) -> None:
    judge.judges = [described("small", default=True, warning="a stand-in for wiring")]
    compare(judge, tmp_path / "out", *two_outputs)
    assert "a stand-in for wiring" in capsys.readouterr().out
    assert "a stand-in for wiring" in (tmp_path / "out" / "report.html").read_text()


def test_a_judge_that_goes_by_the_place_of_an_answer_is_named(
    judge: Any, two_outputs: list[str], tmp_path: Path
) -> None:
    judge.taste = lambda a, b, first: first
    compare(judge, tmp_path / "out", *two_outputs)
    found = report(tmp_path / "out")
    assert found["pairs"][0]["win_rate"]["ties"] == 30
    assert any("in both orders on 0% of the prompts only" in warning for warning in found["warnings"])


def test_the_share_of_answers_that_keep_the_tags_is_told_per_model(judge: Any, tmp_path: Path, write: Any) -> None:
    tagged = {f"q{n}": "<think>e</think><score>1</score>" if n < 6 else "<think>ee" for n in range(8)}
    plain = {f"q{n}": "eee" for n in range(8)}
    files = [str(write(tmp_path / f"{name}.json", name, of)) for name, of in (("tagged", tagged), ("plain", plain))]
    both = ["--outputs", files[0], "--outputs", files[1], "--num", "8"]
    assert compare(judge, tmp_path / "out", *both, "--tags", "think,score") == 0
    assert [one["tags_kept"]["value"] for one in report(tmp_path / "out")["models"]] == [0.75, 0.0]


def test_a_dry_run_says_calls_and_cost_and_asks_nothing(
    judge: Any, two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(judge, tmp_path / "out", *two_outputs, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "60 calls to the judge" in said
    assert "USD" in said
    assert not judge.requests


def test_a_dry_run_counts_no_verdict_that_is_there_and_no_pair_that_needs_none(
    judge: Any, tmp_path: Path, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {f"q{n}": text for n, text in enumerate(["eee", "same", "", "<think>e</think>x", "ee"])}
    other = {f"q{n}": text for n, text in enumerate(["e", "same", "e", "x", "e"])}
    files = [str(write(tmp_path / f"{name}.json", name, of)) for name, of in (("one", one), ("other", other))]
    both = ["--outputs", files[0], "--outputs", files[1], "--num", "5"]
    judge.fails = lambda asked: "judge_timeout" if asked.answer_a == "ee" else None
    assert compare(judge, tmp_path / "out", *both, "--dry-run") == 0
    assert "2 comparisons by loopback (loopback-7b): 4 calls" in capsys.readouterr().out
    assert compare(judge, tmp_path / "out", *both) == 3
    capsys.readouterr()
    assert compare(judge, tmp_path / "out", *both, "--dry-run") == 0
    assert "1 comparisons by loopback (loopback-7b): 2 calls" in capsys.readouterr().out


def test_a_question_that_is_too_large_fails_alone(judge: Any, tmp_path: Path, write: Any) -> None:
    one, other = {f"q{n}": "ee" for n in range(4)}, {f"q{n}": "e" for n in range(4)}
    one["q2"] = "é" * (4 << 20)  # 4 Mi characters, 8 MiB
    files = [str(write(tmp_path / f"{name}.json", name, of)) for name, of in (("one", one), ("other", other))]
    assert compare(judge, tmp_path / "out", "--outputs", files[0], "--outputs", files[1], "--num", "4") == 3
    found = report(tmp_path / "out")
    assert found["failures"]["verdicts"] == {"invalid_input": 1}
    assert found["pairs"][0]["win_rate"]["n"] == 3


def test_a_judge_server_that_fails_is_told_from_one_that_is_not_there(
    judge: Any,
    two_outputs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("guerdon.judge_client.LOOK_S", 0.3)
    judge.refuses_with = 500
    assert compare(judge, tmp_path / "out", *two_outputs) == 2
    said = capsys.readouterr().err
    assert "the judge server fails" in said
    assert "last: 500" in said
    assert "no judge server answers" not in said


def test_the_books_name_a_comparison_by_what_was_compared_not_by_how_it_was_typed(
    judge: Any, two_outputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(judge, tmp_path / "one", *two_outputs)
    monkeypatch.chdir(tmp_path)
    compare(judge, tmp_path / "two", "--outputs", "good.json", "--outputs", "bad.json")
    assert len({request.run for request in judge.requests}) == 1
    Path("bad.json").write_text(Path("bad.json").read_text().replace(" bad", " worse"))
    compare(judge, tmp_path / "three", *two_outputs)
    assert len({request.run for request in judge.requests}) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "-1"], "a whole number from 0 on"),
        (["--criteria", ""], "leave the option out"),
        (["--criteria", "x" * 8001], "8001 characters; 8000 at most"),
        (["--max-cost", "1e9"], "at most"),
        (["--judge-url", "http://127.0.0.1:99999"], "http://127.0.0.1:8001"),
        (["--judge-url", "foo"], "http://127.0.0.1:8001"),
        (["--judge-url", "ftp://host"], "http://127.0.0.1:8001"),
        (["--judge-url", "http://"], "http://127.0.0.1:8001"),
    ],
)
def test_options_that_no_judge_would_take_are_refused_at_once(
    judge: Any, two_outputs: list[str], tmp_path: Path, capsys: Any, arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare(judge, tmp_path / "out", *two_outputs, *arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_killed_in_the_middle_and_run_again_pays_nothing_twice_and_reports_the_same(
    judge: Any, two_outputs: list[str], tmp_path: Path, start: Any
) -> None:
    ten = threading.Event()
    hold = threading.Event()

    def reached() -> None:
        if len(judge.paid) >= 20 and not hold.is_set():
            ten.set()
            hold.wait(30)

    judge.reached = reached
    killed = start("compare", "--judge-url", judge.url, "--num", "30", "--out", str(tmp_path / "out"), *two_outputs)
    assert ten.wait(60)
    killed.kill()
    killed.communicate()
    hold.set()
    assert compare(judge, tmp_path / "out", *two_outputs) == 0
    assert len(judge.paid) == 60
    pieces = (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()
    assert len(pieces) == 30
    judge.paid.clear()
    judge.books.clear()
    compare(judge, tmp_path / "whole", *two_outputs)
    for name in ("report.json", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_commands_do_not_write_to_one_directory(
    judge: Any, two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from model_evaluation import results_folder

    with results_folder.opened(tmp_path / "out"):
        assert compare(judge, tmp_path / "out", *two_outputs) == 2
    assert "another command is writing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--judge", "nobody"], "has no judge 'nobody'; it has: loopback"),
        (["--prompts", "rows.jsonl", "--column", "question"], "has no column 'question'; it has: prompt, id"),
        (["--prompts", "rows.jsonl", "--num", "9"], "has 2 different prompts and --num asks for 9; --num 2"),
        (["--prompts", "absent.jsonl"], "there is no file absent.jsonl"),
        (["--num", "31"], "has 30 different prompts and --num asks for 31; --num 30"),
        (["--model", "endpoint:nowhere"], "endpoint:URL#MODEL"),
        (["--model", "endpoint:http://127.0.0.1:1/v1#m,key_env=NO_SUCH_KEY"], "environment variable NO_SUCH_KEY"),
        (["--model", "package:no_such_package"], "not installed"),
        (["--model", "./no/such/model"], "no model directory or file"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_would_work(
    judge: Any,
    two_outputs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"prompt": "one", "id": 1}\n{"prompt": "two", "id": 2}\n')
    assert compare(judge, tmp_path / "out", *two_outputs, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not judge.requests


def test_a_judge_without_its_key_is_refused_before_anything_is_generated(
    judge: Any, two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], described: Any
) -> None:
    problem = "no key: set the environment variable OPENAI_API_KEY (key_env in [gpt] of judges.toml)"
    judge.judges = [described("gpt", available=False, problem=problem), described("other", default=True)]
    assert compare(judge, tmp_path / "out", *two_outputs, "--judge", "gpt") == 2
    assert f"{problem}. Judges that can: other" in capsys.readouterr().err


def test_a_judge_server_that_wants_a_token_gets_the_one_of_the_environment(
    judge: Any,
    two_outputs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge.token = "s3cret"
    monkeypatch.delenv("GUERDON_JUDGE_TOKEN", raising=False)
    assert compare(judge, tmp_path / "out", *two_outputs) == 2
    assert "GUERDON_JUDGE_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("GUERDON_JUDGE_TOKEN", "s3cret")
    assert compare(judge, tmp_path / "out", *two_outputs) == 0


def test_a_judge_server_that_does_not_answer_is_named(
    two_outputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_evaluation.judge.PATIENCE_S", 0.2)
    arguments = ["compare", "--judge-url", "http://127.0.0.1:1", "--num", "30", "--out", str(tmp_path / "out")]
    assert main([*arguments, *two_outputs]) == 2
    assert "no judge server answers" in (said := capsys.readouterr().err)
    assert "--judge-url" in said
