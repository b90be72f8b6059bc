"""A report as the terminal, the charts and the page show it: any name, any number of prompts, every decision once."""

import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from guerdon.judge_messages import Budget, JudgeInfo, OrderVerdict, Side, Verdict
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Answers
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling
from model_evaluation.judging import Judged, games
from model_evaluation.prompts import Prompt
from model_evaluation.report import chart, comparison_charts, comparison_report, figure, page, terminal
from model_evaluation.report.comparison_report import Setting
from model_evaluation.report.samples import samples

SIDES: tuple[Side, Side] = ("a", "b")
NAMES = ["run[/b]x", "a$\\frac$b", "_hidden :smile:"]


def material(
    names: list[str], prompts: int, a_wins: int = 12, judge: str = "loopback-7b"
) -> tuple[Setting, list[Answers], list[Judged]]:
    """Every pair's first model wins `a_wins` prompts in twenty and loses the others; both orders agree."""
    rng = random.Random(0)
    asked = [Prompt((("user", f"question {n}"),), f"question {n}") for n in range(prompts)]
    answers = [
        Answers(
            Contestant(name, "outputs", f"{place}.json"),
            [Completion(prompt.id, "word " * rng.randint(1, 40) + str(place), "stop") for prompt in asked],
            {"file": f"{place}.json"},
        )
        for place, name in enumerate(names)
    ]
    played = [
        replace(one, verdict=verdict("a" if n % prompts % 20 < a_wins else "b"))
        for n, one in enumerate(games(asked, answers))
    ]
    info = JudgeInfo(name="j", kind="replay", model=judge, version="1", prompt_version="1")
    sampling = Sampling(seed=1, temperature=0.7, top_p=0.9, max_tokens=64, stop=(), prompt_format="chat")
    return Setting("p.jsonl", asked, sampling, info, "run"), answers, played


def verdict(winner: str) -> Verdict:
    side: Side = "a" if winner == "a" else "b"
    calls = [OrderVerdict(first=first, sample=0, winner=side, explanation="because") for first in SIDES]
    return Verdict(winner=side, score_a=6.0, score_b=4.0, orders=calls)


def reported(names: list[str], prompts: int = 20, tokens: int = 100, **changed: Any) -> dict[str, Any]:
    budget = Budget(judge="j", run="run", spent_tokens=tokens)
    return comparison_report.report(*material(names, prompts, **changed), budget)


def printed(report: dict[str, Any]) -> str:
    out = StringIO()
    terminal.show(report, Console(file=out, width=200, highlight=False))
    return out.getvalue()


def test_names_with_markup_formulas_and_underscores_are_printed_and_drawn_as_they_are() -> None:
    report = reported(NAMES)
    said, drawn = printed(report), page.comparison(report, 1)
    for name in NAMES:
        assert f"│ {name} " in said
        assert f">\N{ZERO WIDTH SPACE}{name}<" in drawn or f">{name}<" in drawn


def test_a_name_that_begins_with_an_underscore_is_in_the_legend() -> None:
    [scores] = [svg for svg in comparison_charts.svgs(reported(["_one", "two"])) if "Scores by model" in svg]
    assert "_one" in scores


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.text(st.characters(), min_size=1, max_size=30))
def test_no_name_breaks_the_terminal_or_a_chart(name: str) -> None:
    report = REPORT | {
        "models": [REPORT["models"][0] | {"name": name}, REPORT["models"][1]],
        "pairs": [REPORT["pairs"][0] | {"model_a": name}],
        "samples": [],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart.svg("Win rate", lambda axes: comparison_charts.win_bars(axes, report)).encode()
    printed(report).encode()


REPORT = reported(["first", "second"])


@cache
def shown() -> str:
    return page.comparison(REPORT, 0)


@cache
def three() -> dict[str, Any]:
    return reported(["z", "y", "x"], prompts=40, a_wins=14)


def test_a_control_character_of_a_name_does_not_reach_the_terminal() -> None:
    said = printed(reported(["red\x1b[31m", "blue"]))
    assert "\x1b" not in said
    assert "red�[31m" in said


def test_calls_that_models_with_the_same_answers_share_are_counted_once() -> None:
    """The second and the third say the same: against the first they are one question, whichever is shown first."""
    setting, answers, _ = material(["first", "second", "third"], 5)
    answers[2] = replace(answers[2], completions=answers[1].completions)
    played = games(setting.prompts, answers)
    same = [one.needs_no_call for one in played]
    assert same == [False] * 10 + [True] * 5
    played = [one if one.needs_no_call else replace(one, verdict=verdict("a")) for one in played]
    mirrored = [
        replace(one, model_a=one.model_b, model_b=one.model_a, answer_a=one.answer_b, answer_b=one.answer_a)
        for one in played[5:10]
    ]
    assert comparison_report.judge_calls(played) == comparison_report.judge_calls(played[:5] + mirrored) == 10
    usage = comparison_report.report(setting, answers, played, Budget(judge="j", run="run"))["usage"]
    assert usage["calls"] == 10


def test_twice_the_prompts_are_twice_the_work() -> None:
    small, large = (work(partial(samples, *arguments(prompts))) for prompts in (40, 80))
    assert large < 2.2 * small


def arguments(prompts: int) -> tuple[Any, Any, Any]:
    setting, answers, played = MATERIAL[prompts]
    return setting.prompts, answers, played


MATERIAL = {prompts: material(["x", "y", "z"], prompts) for prompts in (40, 80)}


def work(done: Callable[[], object]) -> int:
    """Return how many instructions of Python a call takes: what a clock would say on a machine with nothing else."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        done()
    finally:
        sys.settrace(before)
    return count


def test_a_prompt_computes_its_id_once() -> None:
    prompt = Prompt((("user", "why"),), "why")
    assert prompt.id is prompt.id
    assert prompt == Prompt((("user", "why"),), "why")


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=200).map(lambda some: some * 12))
@settings(max_examples=30, deadline=None)
def test_stacked_points_stay_in_their_row(differences: list[int]) -> None:
    offsets = comparison_charts.stacked(differences, 60)
    assert max(map(abs, offsets)) <= comparison_charts.STACKED + 1e-9


def test_a_few_points_of_one_length_do_not_cover_one_another() -> None:
    offsets = comparison_charts.stacked([5, 5, 5, 5], 5)
    assert len({round(offset, 6) for offset in offsets}) == 4


def test_a_pair_among_three_says_what_the_ranking_decides() -> None:
    report = three()
    assert report["ranking"] is not None
    decided = {frozenset((pair["model_a"], pair["model_b"])): pair for pair in report["ranking"]["pairs"]}
    for pair in report["pairs"]:
        its = decided[frozenset((pair["model_a"], pair["model_b"]))]
        for name in ("verdict", "difference_shown", "p_holm"):
            assert pair[name] == its[name]
        assert pair["verdict"] in report["headlines"]


def test_what_decides_among_three_is_on_the_page_and_the_terminal_and_not_for_two() -> None:
    p_value = f"p = {three()['pairs'][0]['p_holm']:.3f}"
    for text in (printed(three()), page.comparison(three(), 0)):
        assert "p after Holm" in text
        assert p_value in text
    for text in (printed(REPORT), shown()):
        assert "p after Holm" not in text


def test_kinship_is_told_alike_in_the_pairs_and_the_warnings() -> None:
    setting, answers, played = material(["tuned", "other"], 12, judge="qwen2.5-72b")
    kin = Answers(Contestant("tuned", "local", "Qwen/Qwen3-4B"), answers[0].completions, {})
    report = comparison_report.report(setting, [kin, answers[1]], played, None)
    told = report["pairs"][0]["bias"]["same_family"]
    assert "Qwen/Qwen3-4B" in told
    assert f"T{told[1:]}." in report["warnings"]


def test_a_generator_of_the_judges_family_is_kin_whatever_its_file_is_called() -> None:
    report = reported(["gpt-4-turbo", "other"], judge="gpt-4.1")
    assert any("kin to gpt-4-turbo" in warning for warning in report["warnings"])


@pytest.mark.parametrize(("tokens", "ledger"), [(0, True), (100, False)])
def test_verdicts_that_cost_no_token_are_said_to_be_from_the_ledger(tokens: int, ledger: bool) -> None:
    report = reported(["x", "y"], tokens=tokens)
    for text in (printed(report), page.comparison(report, 0)):
        assert ("40 calls, answered from the ledger" in text) == ledger
        assert "40 calls" in text


def test_no_calls_are_not_said_to_be_from_the_ledger() -> None:
    assert figure.asked({"calls": 0, "tokens": 0}) == "0 calls"
    assert figure.asked({"calls": 3, "tokens": None}) == "3 calls"


def test_a_pair_shows_its_failures_by_status() -> None:
    setting, answers, played = material(["x", "y"], 20)
    for place, status in ((3, "judge_timeout"), (4, "judge_refused"), (5, "judge_timeout")):
        failed = Verdict.model_validate({"status": status, "error": "as the test wants it"})
        played[place] = replace(played[place], verdict=failed)
    report = comparison_report.report(setting, answers, played, None)
    for text in (printed(report), page.comparison(report, 0)):
        assert "(judge_refused 1, judge_timeout 2)" in text


def test_the_page_names_the_method_of_the_length_matched_interval() -> None:
    matched = REPORT["pairs"][0]["bias"]["length_matched"]["win_rate"]
    assert 0 < matched["n"] < 10
    line = next(line for line in shown().splitlines() if "length-matched" in line)
    assert "at most; Wilson; " in line


def test_what_is_hidden_stays_hidden_whatever_else_the_style_says() -> None:
    assert "[hidden] { display: none !important; }" in shown()
