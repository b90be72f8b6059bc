"""`guerdon recommender report`: what training changed, as one page and as JSON."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from empathetic_recommender import arm, reward_curve
from guerdon import __version__
from long_work import content_digest, json_file, report_page, written_whole
from long_work.json_file import Row

LEADING = ("critic", "critic/empathy", "critic/recommendation", "critic/overall", "recall@3", "AUC.global")
RESAMPLES = 2000


def run(options: argparse.Namespace) -> int:
    """Write report.html and report.json; return 0.

    Raises:
        CommandError: a directory lacks what `evaluate` writes, or not all were scored by one critic.
    """
    before, after = arm.read(options.before), [arm.read(folder) for folder in options.after]
    arm.hold_critic({options.before: before} | dict(zip(options.after, after, strict=True)))
    report = {
        "metrics": _compared(before["metrics"]["metrics"], [one["metrics"]["metrics"] for one in after]),
        "critic_change": [_change(before["rows"], one["rows"]) for one in after],
        "simulation": {"before": before["simulation"], "after": [one["simulation"] for one in after]},
        "training": [reward_curve.read(folder) for folder in options.training],
        "samples": _samples(before["rows"], after[0]["rows"], options.samples),
        "manifest": {
            "before": _facts(options.before, before),
            "after": [_facts(folder, one) for folder, one in zip(options.after, after, strict=True)],
            "guerdon": __version__,
        },
    }
    report["headlines"] = headlines(report)
    json_file.write(options.out / "report.json", report)
    written_whole.text(options.out / "report.html", page(report))
    for sentence in report["headlines"]:
        print(sentence)
    print(options.out / "report.html")
    return 0


def headlines(report: Mapping[str, Any]) -> list[str]:
    """Return what the figures say, in sentences that also fit where nothing was gained."""
    said = []
    for place, change in enumerate(report["critic_change"], 1):
        if change["mean"] is None:
            said.append(f"Training {place}: the critic's value was not compared ({change['reason']}).")
            continue
        verdict = "rose" if change["low"] > 0 else "fell" if change["high"] < 0 else "did not change beyond chance"
        said.append(
            f"Training {place}: the critic's value {verdict} on held-out dialogues, {change['mean']:+.3f} "
            f"[{change['low']:+.3f}, {change['high']:+.3f}]."
        )
    first, others = report["simulation"]["before"], [one for one in report["simulation"]["after"] if one]
    if first and first["success_rate"] and others:
        after = ", ".join(_success(one) for one in others if one["success_rate"])
        said.append(f"Success rate with the simulated user: {_success(first)} before; {after} after.")
    return said


def _success(simulation: Mapping[str, Any]) -> str:
    """Return the success rate and what it is worth: how many of the accepted replies named a film that fits."""
    share = simulation["accepted_fitting_share"]
    worth = "" if share is None else f" ({100 * share:.0f}% of the accepted named a film that fits)"
    return f"{_interval(simulation['success_rate'])}{worth}"


def _interval(estimate: Mapping[str, float] | None) -> str:
    return "–" if estimate is None else f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def page(report: Mapping[str, Any]) -> str:
    manifest, curve = json.dumps(report["manifest"], indent=1), reward_curve.picture(report["training"])
    return report_page.rendered(
        "empathetic_recommender",
        {"interval": _interval, "figure": _figure},
        r=report,
        curve=curve,
        manifest=manifest,
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _compared(before: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(before, key=lambda name: (name not in LEADING, name)):
        values = [one.get(name) for one in after]
        there = [value for value in values if value is not None]
        rows.append({"name": name, "before": before[name], "after": values, "mean": fmean(there) if there else None})
    return rows


def _change(before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, Any]:
    """Return the mean change of the critic's value, paired by dialogue row, with its bootstrap interval."""
    pairs = [
        (before[name]["critic"]["value"], row["critic"]["value"])
        for name, row in after.items()
        if row.get("critic") and name in before and before[name].get("critic")
    ]
    scored = np.array([pair for pair in pairs if None not in pair], dtype=float)
    if len(scored) < 2:
        return {"mean": None, "n": len(scored), "reason": "fewer than two rows were scored before and after"}
    change = scored[:, 1] - scored[:, 0]
    drawn = np.random.default_rng(0).choice(change, (RESAMPLES, len(change))).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"mean": float(change.mean()), "low": float(low), "high": float(high), "n": len(change), "reason": ""}


def _samples(before: Mapping[str, Row], after: Mapping[str, Row], count: int) -> list[dict[str, Any]]:
    names = [name for name in before if name in after]
    chosen = [names[place] for place in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)]
    return [
        {
            "conversation": before[name].get("conversation", []),
            "before": {"text": before[name]["reply"], "critic": _value(before[name])},
            "after": {"text": after[name]["reply"], "critic": _value(after[name])},
        }
        for name in chosen
    ]


def _value(row: Row) -> float | None:
    value: float | None = (row.get("critic") or {}).get("value")
    return value


def _facts(folder: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    digest = content_digest.of(folder / "scored.jsonl")
    names = ("model", "dialogues", "replies", "unscored", "scored_by", "made_of")
    kept = {name: found["metrics"].get(name) for name in names}
    simulation = found["simulation"] or {}
    simulated = {"user": simulation.get("user"), "simulation_made_of": simulation.get("made_of")}
    return kept | {"replies_sha256": digest} | simulated
