"""`guerdon passk`: checkers, resumption, what is refused, what is told."""

import json
import os
import threading
from pathlib import Path

import pytest

from guerdon.cli import main
from guerdon.messages import Score
from long_work.command_error import CommandError
from model_evaluation.answers import contestant
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Draws
from model_evaluation.answers.sampling import Sampling
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt, parsed
from model_evaluation.solving import checkers, checking, passk_report
from model_evaluation.solving.checkers import Checker, at_least
from model_evaluation.solving.verdict import Verdict

KEYLESS = "endpoint:http://127.0.0.1:1/v1#m,key_env=NO_SUCH_KEY"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"Say {word}", "answer": "."} for word in ("one", "two", "three")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def asked_for(prompts: Path, policy: Path, out: Path, *more: str) -> list[str]:
    few = ["--num", "3", "--samples", "4", "--k", "1,2,4", "--max-tokens", "8", "--reference-column", "answer"]
    return ["passk", "--model", f"a={policy}", "--prompts", str(prompts), "--out", str(out), *few, *more]


def prompt(reference: str) -> Prompt:
    return parsed("What is it?", "", reference)


def test_a_run_measures_every_k_and_goes_on_where_it_was(prompts: Path, tiny_policy: Path, tmp_path: Path) -> None:
    command = asked_for(prompts, tiny_policy, tmp_path / "out", "--check", "regex", "--pattern", "[a-m]")
    assert main(command) == 0
    report = json.loads((tmp_path / "out/passk.json").read_text())
    found = [report["arms"][0]["metrics"][f"pass@{k}"]["value"] for k in (1, 2, 4)]
    assert found == sorted(found)
    assert report["arms"][0]["completions"] == 12
    assert report["manifest"]["how"]["check"] == "regex"
    verdicts = (tmp_path / "out/verdicts.jsonl").read_bytes()
    assert main(command) == 0
    assert (tmp_path / "out/verdicts.jsonl").read_bytes() == verdicts
    assert json.loads((tmp_path / "out/passk.json").read_text()) == report


def test_prompts_that_are_too_easy_raise_the_ceiling_alarm(prompts: Path, tiny_policy: Path, tmp_path: Path) -> None:
    assert main(asked_for(prompts, tiny_policy, tmp_path / "out", "--check", "regex")) == 0  # "." matches anything
    [warning] = [w for w in json.loads((tmp_path / "out/passk.json").read_text())["warnings"] if "ceiling" in w]
    assert "too easy" in warning


@pytest.mark.parametrize(
    ("option", "wrong", "said"),
    [
        ("--test-timeout", "abc", "'abc' is not a number above 0"),
        ("--test-timeout", "601", "600 seconds at most"),
        ("--threshold", "nan", "'nan' is not a number"),
        ("--top-p", "0", "'0' is not a share above 0"),
    ],
)
def test_what_is_no_number_is_refused_with_what_would_be_one(
    option: str, wrong: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["passk", "--prompts", "p", "--out", "o", "--check", "tests", option, wrong])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--k", "8", "--check", "exact"], "pass@8 needs 8"),
        (["--check", "reward"], "needs --reward"),
        (["--check", "regex", "--pattern", "("], "no regular expression"),
        (["--check", "exact", "--model", KEYLESS], "set the environment variable NO_SUCH_KEY"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_would_work(
    more: list[str], said: str, prompts: Path, tiny_policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked_for(prompts, tiny_policy, tmp_path / "out", *more)) == 2
    assert said in capsys.readouterr().err


def test_right_completions_that_read_their_own_program_are_told(tmp_path: Path) -> None:
    said = ["def f(): return 1", "print(open(__file__).read())", "import os\nos._exit(1)"]
    draws = Draws(contestant.parsed("a"), [[Completion("p", text) for text in said]], {})
    verdicts = [[Verdict.of(True), Verdict.of(True), Verdict.of(False)]]
    how = {"check": "tests", "rule": "in a process"}
    setting = passk_report.Setting("prompts.jsonl", [prompt("")], Sampling(), 3, (1,), how)
    report = passk_report.report(setting, [passk_report.Solved("a", "0", draws, verdicts)])
    assert report["arms"][0]["suspects"] == [{"seed": "0", "prompt": 1, "draw": 2, "word": "__file__"}]
    assert "1 of the 2 right completions of a" in report["warnings"][0]


def test_when_verdicts_cannot_be_kept_no_check_is_waited_for_and_none_begins(tmp_path: Path) -> None:
    began, ended, released = [], [], threading.Event()

    def check(_: Prompt, text: str) -> Verdict:
        began.append(text)
        if text == "first":
            (tmp_path / checking.FILE).unlink()
            (tmp_path / checking.FILE).mkdir()
            return Verdict.of(True)
        released.wait(10)
        ended.append(text)
        return Verdict.of(True)

    texts = ["first", *map(str, range(9))]
    draws = Draws(contestant.parsed("a"), [[Completion("p", text) for text in texts]], {})
    with pytest.raises(CommandError, match=r"verdicts\.jsonl cannot be written"):
        checking.checked(Checker(("slow",), check), [prompt("")], [draws], tmp_path)
    assert ended == []
    assert len(began) <= 1 + (os.cpu_count() or 1)
    released.set()


def test_exact_forgives_case_and_marks_and_nothing_else() -> None:
    check = checkers.exact([prompt("Forty-two")]).check
    assert check(prompt("Forty-two"), "FORTY-TWO.").right is True
    assert check(prompt("Forty-two"), "It is forty-two").right is False


def test_a_checker_without_references_says_which_column_it_needs() -> None:
    with pytest.raises(EvaluationError, match="--reference-column"):
        checkers.exact([parsed("What?", "")])


def test_a_score_that_failed_is_neither_right_nor_wrong() -> None:
    assert at_least(Score(value=0.7), 0.7).right is True
    assert at_least(Score(value=0.69), 0.7).right is False
    failed = at_least(Score.failed("timeout", "late"), 0.7)
    assert (failed.right, failed.status) == (None, "timeout")
