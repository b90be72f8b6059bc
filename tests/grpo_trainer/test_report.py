import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer.display import report
from grpo_trainer.display.live_view import number
from grpo_trainer.record import ledger
from grpo_trainer.record.ledger import Ledger

HOSTILE = '</pre><script>alert("1")</script><img src=x onerror=alert(2)>'


def stats(mean: float | None, std: float | None = 0.3) -> dict[str, float | None]:
    return {"mean": mean, "std": std, "min": mean, "max": mean}


def record(step: int, steps: int, rng: random.Random) -> dict[str, Any]:
    learned = 1 / (1 + math.exp(-(step - steps / 2) / (steps / 8)))
    reward = -1.1 + 1.8 * learned + rng.gauss(0, 0.08)
    return {
        "step": step,
        "steps": steps,
        "time": 1.8e9 + step,
        "reward": stats(reward, 0.5 - 0.3 * learned),
        "terms": {"sql_cot": stats(reward)},
        "components": {
            "sql_cot/format": stats(min(1.0, 0.3 + 0.7 * learned)),
            "sql_cot/abs_error": stats(0.35 - 0.2 * learned if step > 2 else None),
            "sql_cot/predicted": stats(0.6 + rng.gauss(0, 0.02)),
            "sql_cot/target": stats(0.55 + rng.gauss(0, 0.02)),
        },
        "failed_share": 0.0 if step % 9 else 0.0625,
        "dead_group_share": max(0.0, 0.5 - learned + rng.gauss(0, 0.05)),
        "signal_share": {"sql_cot": 1.0},
        "parameter_change": 4e-3 * (1 + rng.gauss(0, 0.1)),
        "reward_seconds": 0.02,
        "step_seconds": 4.0 + rng.gauss(0, 0.3),
        "reward_time_share": 0.005,
    }


def row(slot: int, reward: float | None, completion: str) -> dict[str, Any]:
    return {
        "group_id": "demo/1/train/0/0",
        "slot": slot,
        "prompt": "Q: how many cars are red?\nSQL: SELECT COUNT(*) FROM cars\nA:",
        "completion": completion,
        "reward": reward,
        "term/sql_cot": reward,
        "version/sql_cot": "1",
        "sql_cot/format": 1.0,
        "sql_cot/abs_error": 0.1,
        "status": "ok",
        "advantage": 0.0,
    }


def synthetic(folder: Path, steps: int = 60) -> Path:
    run, rng = Ledger(folder), random.Random(0)
    config = {"policy": {"model": "org/name", "dtype": "auto"}, "grpo": {"max_steps": steps, "learning_rate": 2e-4}}
    facts = {"started": "2026-01-01T00:00:00Z", "seed": 0, "policy": {"model": "org/name", "parameters": 268_098_176}}
    run.manifest({"name": "demo", "config": config, "packages": {"torch": "2.13.0"}, **facts})
    for step in range(1, steps + 1):
        score = f" <think> the count lacks a filter </think> <score> 0.{step % 10} </score>"
        rows = [row(0, -1.25, HOSTILE), row(1, step / steps, score), row(2, None, "lost")]
        run.step(record(step, steps, rng), rows)
    return folder


def test_the_page_is_self_contained_and_shows_completions_as_text(tmp_path: Path) -> None:
    page = report.write(synthetic(tmp_path)).read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;" in page
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in page
    assert page.count("<svg") == 6
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_the_summary_compares_the_first_quarter_with_the_last(tmp_path: Path) -> None:
    text = report.summary(synthetic(tmp_path, 8))
    lines = ledger.read_metrics(tmp_path)
    first, last = report.quarters(lines)
    assert first == pytest.approx(sum(line["reward"]["mean"] for line in lines[:2]) / 2)
    assert last == pytest.approx(sum(line["reward"]["mean"] for line in lines[-2:]) / 2)
    assert f"{number(first)} → {number(last)}" in text
    assert str(tmp_path / "metrics.jsonl") in text


def test_a_run_without_steps_still_has_a_report(tmp_path: Path) -> None:
    Ledger(tmp_path).manifest({"name": "nothing"})
    assert "none was scored" in report.write(tmp_path).read_text()
    assert "–" in report.summary(tmp_path)


def test_steps_in_which_nothing_was_scored_leave_gaps_not_zeros(tmp_path: Path) -> None:
    rng = random.Random(0)
    run = Ledger(tmp_path)
    for step in (1, 2):
        line = record(step, 2, rng) | {"reward": stats(None, None), "signal_share": {"a": None, "b": None}}
        run.step(line | {"components": {}, "failed_share": 1.0, "parameter_change": None}, [])
    report.write(tmp_path)
    assert report.quarters(ledger.read_metrics(tmp_path)) == (None, None)


def test_the_best_and_worst_completions_are_those_that_were_scored_and_by_what_they_earned(tmp_path: Path) -> None:
    """Where a part is imputed, the corrected reward of a scored completion is not what it earned."""
    run, rng = Ledger(tmp_path), random.Random(0)
    scored = row(0, 3.7, "scored") | {"term/sql_cot": 0.9, "imputed/sql_cot": 3.7, "scored/sql_cot": 1.0}
    other = row(1, -2.2, "also scored") | {"term/sql_cot": 0.1, "imputed/sql_cot": -2.2, "scored/sql_cot": 1.0}
    guessed = row(2, 5.1, "guessed") | {"term/sql_cot": None, "imputed/sql_cot": 5.1, "scored/sql_cot": 0.0}
    counts = {"reward": "sql_cot", "completions": 3, "calls": 2, "calls_saved": 1, "imputed": 1}
    for step in (1, 2):
        run.step(record(step, 2, rng) | {"failed_share": 0.0, "imputation": counts}, [scored, other, guessed])
    page = report.write(tmp_path).read_text()
    assert '<td class="n good">0.900</td>' in page
    assert '<td class="n bad">0.100</td>' in page
    assert "guessed" not in page
    named = {name: value for value, name in report.figures(ledger.read_metrics(tmp_path))}
    assert named["of completions failed"] == "0%"
    assert named["of completions imputed"] == "33%"
    assert "of completions imputed" not in report.summary(synthetic(tmp_path / "whole", 2))


def test_without_matplotlib_one_line_says_so_and_the_page_is_written(tmp_path: Path) -> None:
    synthetic(tmp_path, 2)
    program = "import sys, pathlib\nsys.modules['matplotlib'] = None\n"
    program += "from grpo_trainer.display import report\nreport.write(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "guerdon[evaluation]" in done.stdout
    assert (tmp_path / "report.html").exists()


def test_every_component_is_drawn_however_many_there_are() -> None:
    """A diversity reward serves sixteen, twice as many as there are colours."""
    from matplotlib.figure import Figure

    from grpo_trainer.display import chart

    names = [f"diversity/metric_{number}" for number in range(16)]
    steps = [
        {
            "step": step,
            "components": {name: stats(0.1 * step) for name in names},
            "signal_share": dict.fromkeys(names, 0.1),
        }
        for step in (1, 2, 3)
    ]
    for draw in (chart.draw_components, chart.draw_signal):
        axes = Figure().subplots()
        draw(axes, steps)
        assert len(axes.lines) == 16
        assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 16


def test_only_weights_that_move_are_drawn() -> None:
    from grpo_trainer.display import chart

    steps = [{"step": step, "weights": {"fixed": 1.0, "shared": 1.0 / step}} for step in (1, 2, 3)]
    assert chart.moving_weights(steps) == ["shared"]
    titles = [title for title, _ in chart.panels(steps)]
    assert "Weights that follow a target share" in titles
    assert "Weights that follow a target share" not in [title for title, _ in chart.panels(steps[:1])]
