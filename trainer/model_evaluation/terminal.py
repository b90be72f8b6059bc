"""A comparison on the terminal: the sentences first, then the numbers they rest on."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from model_evaluation.figure import capitalised, estimate, interval, money, number, p_value, percent

Report = Mapping[str, Any]


def show(report: Report, console: Console) -> None:
    """Print what a report says."""
    console.print()
    for sentence in report["headlines"]:
        console.print(f"{capitalised(sentence)}.", style="bold", markup=False)
    for warning in report["warnings"]:
        console.print(f"! {warning}", style="yellow", markup=False)
    console.print()
    console.print(_models(report))
    for pair in report["pairs"]:
        console.print(_pair(pair))
    if report["ranking"]:
        console.print(_ranking(report["ranking"]))
    usage = report["usage"]
    tokens = number(usage["tokens"], 0)
    console.print(f"The judge: {usage['calls']} verdicts asked, {tokens} tokens, {money(usage)}.", markup=False)
    for stage, found in report["failures"].items():
        for status, times in found.items():
            console.print(f"Failed {stage}: {times} × {status}", markup=False)


def _models(report: Report) -> Table:
    table = Table(title="Models", title_justify="left", title_style="bold")
    columns = ["model", "answers", "score, mean ± sd", "characters", "cut off"]
    tags = report["manifest"]["tags"]
    for name in [*columns, *(["keeps tags"] if tags else [])]:
        table.add_column(name)
    for one in report["models"]:
        scores = one["scores"]
        row = [
            one["name"],
            f"{one['answers']} / {one['prompts']}",
            f"{number(scores['mean'])} ± {number(scores['sd'])} ({scores['n']})",
            number(one["mean_characters"], 0),
            str(one["cut_off"]),
        ]
        table.add_row(*row, *([estimate(one["tags_kept"], share=True)] if tags else []))
    return table


def _pair(pair: Report) -> Table:
    rate, scores, bias = pair["win_rate"], pair["scores"], pair["bias"]
    effect = pair["detectable_effect"]
    table = Table(
        title=f"{pair['model_a']} against {pair['model_b']}",
        title_justify="left",
        title_style="bold",
        show_header=False,
    )
    rows = {
        "won · tied · lost": f"{rate['wins']} · {rate['ties']} · {rate['losses']} of {rate['n']} prompts; "
        f"{rate['incomplete']} without a verdict",
        "win rate": f"{percent(rate['rate'])} {interval(rate, share=True)}",
        "sign test": p_value(rate["sign_test"]),
        "score difference": f"{estimate(scores['difference'])}, {p_value(scores['permutation'])} (permutation)",
        "detectable effect": effect["reason"]
        or f"{100 * effect['effect']:.0f} points with {effect['n']} prompts; 10 points need "
        f"{effect['prompts_for_10_points']}",
        "position consistency": estimate(bias["position_consistency"], share=True),
        "first-slot rate": estimate(bias["first_slot_rate"], share=True),
        "longer wins": estimate(bias["longer_wins_rate"], share=True),
        "length-controlled": estimate(bias["length_controlled"], share=True),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _ranking(ranking: Report) -> Table:
    table = Table(title="Ranking", title_justify="left", title_style="bold")
    for name in ("#", "model", "expected win rate", "log strength"):
        table.add_column(name)
    for place, one in enumerate(ranking["models"], 1):
        rates = estimate(one["expected_win_rate"], share=True), estimate(one["log_strength"])
        table.add_row(str(place), one["model"], *rates)
    return table
