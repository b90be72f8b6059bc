"""`guerdon diversity` on the terminal: the sentences first, then the numbers they rest on."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_evaluation.report.figure import estimate, percent, plain

Report = Mapping[str, Any]
SHOWN = ("distinct_1", "distinct_2", "self_bleu_4.method1", "novelty", "semantic", "vendi", "words")


def show_diversity(report: Report, console: Console) -> None:
    """Print what a report says."""
    console.print()
    for sentence in report["headlines"]:
        console.print(Text(plain(f"{sentence}."), "bold"))
    for warning in report["warnings"]:
        console.print(Text(plain(f"! {warning}"), "yellow"))
    table = Table(title="Means over prompts and seeds, with 95% intervals", title_justify="left")
    table.add_column("metric")
    for arm in report["arms"]:
        table.add_column(Text(plain(arm["name"])))
    quality = [metric for metric in report["metrics"] if metric.startswith("quality.")]
    for metric in [*(name for name in SHOWN if name in report["metrics"]), *quality]:
        table.add_row(metric, *(estimate(arm["metrics"][metric]) for arm in report["arms"]))
    for reward in dict.fromkeys(name for arm in report["arms"] for name in arm["signal_share"] or {}):
        shares = [(arm["signal_share"] or {}).get(reward) for arm in report["arms"]]
        table.add_row(Text(plain(f"signal share of {reward}")), *(percent(share) for share in shares))
    console.print(table)
