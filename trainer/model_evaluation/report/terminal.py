"""A comparison on the terminal: the sentences first, then the numbers they rest on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_evaluation.report.figure import (
    asked,
    by_status,
    capitalised,
    estimate,
    interval,
    money,
    number,
    p_value,
    percent,
    plain,
)

Report = Mapping[str, Any]


def show(report: Report, console: Console) -> None:
    """Print what a report says."""
    console.print()
    for sentence in report["headlines"]:
        console.print(_text(f"{capitalised(sentence)}.", "bold"))
    for warning in report["warnings"]:
        console.print(_text(f"! {warning}", "yellow"))
    console.print()
    console.print(_models(report))
    for pair in report["pairs"]:
        console.print(_pair(pair, ranked=report["ranking"] is not None))
    if report["ranking"]:
        console.print(_ranking(report["ranking"]))
    usage = report["usage"]
    console.print(_text(f"The judge: {asked(usage)}, {number(usage['tokens'], 0)} tokens, {money(usage)}."))
    for stage, found in report["failures"].items():
        for status, times in found.items():
            console.print(_text(f"Failed {stage}: {times} × {status}"))


def _text(text: str, style: str = "") -> Text:
    """Return a text that rich prints as it is: names come from files and paths, and [/b] in one is no markup."""
    return Text(plain(text), style)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; without a header where there are no names of columns."""
    table = Table(title=_text(title, "bold"), title_justify="left", show_header=bool(columns))
    for name in columns:
        table.add_column(_text(name))
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _models(report: Report) -> Table:
    tags = report["manifest"]["tags"]
    columns = ["model", "answers", "score, mean ± sd", "characters", "cut off", *(["keeps tags"] if tags else [])]
    rows = []
    for one in report["models"]:
        scores = one["scores"]
        row = [
            one["name"],
            f"{one['answers']} / {one['prompts']}",
            f"{number(scores['mean'])} ± {number(scores['sd'])} ({scores['n']})",
            number(one["mean_characters"], 0),
            str(one["cut_off"]),
        ]
        rows.append([*row, *([estimate(one["tags_kept"], share=True)] if tags else [])])
    return _table("Models", columns, rows)


def _pair(pair: Report, *, ranked: bool) -> Table:
    rate, scores, bias = pair["win_rate"], pair["scores"], pair["bias"]
    effect = pair["detectable_effect"]
    why = f" ({by_status(pair['incomplete_by_status'])})" if pair["incomplete_by_status"] else ""
    rows = {
        "won · tied · lost": f"{rate['wins']} · {rate['ties']} · {rate['losses']} of {rate['n']} prompts; "
        f"{rate['incomplete']} without a verdict{why}",
        "win rate": f"{percent(rate['rate'])} {interval(rate, share=True)}",
        "sign test": p_value(rate["sign_test"]),
        **({"p after Holm": p_value({**rate["sign_test"], "p": pair["p_holm"]})} if ranked else {}),
        "score difference": f"{estimate(scores['difference'])}, {p_value(scores['permutation'])} (permutation)",
        "detectable effect": effect["reason"]
        or f"{100 * effect['effect']:.0f} points with {effect['n']} prompts; 10 points need "
        f"{effect['prompts_for_10_points']}",
        "position consistency": estimate(bias["position_consistency"], share=True),
        "first-slot rate": estimate(bias["first_slot_rate"], share=True),
        "longer wins": estimate(bias["longer_wins_rate"], share=True),
        "length-controlled": estimate(bias["length_controlled"], share=True),
    }
    return _table(f"{pair['model_a']} against {pair['model_b']}", (), rows.items())


def _ranking(ranking: Report) -> Table:
    rows = [
        (str(place), one["model"], estimate(one["expected_win_rate"], share=True), estimate(one["log_strength"]))
        for place, one in enumerate(ranking["models"], 1)
    ]
    return _table("Ranking", ("#", "model", "expected win rate", "log strength"), rows)
