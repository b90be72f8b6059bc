"""`guerdon imputation RUN… --out DIR`: what imputation saved in each run and how well it ranked, as page and JSON."""

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from grpo_trainer import ledger
from grpo_trainer.imputation import summary

TEMPLATE = files("grpo_trainer") / "report_template/imputation.html"


def main(argv: list[str]) -> int:
    """Run the command; return 0, or 2 where a folder holds no run that imputes or a file no facts."""
    options = parser().parse_args(argv)
    runs = {folder.name: folder for folder in options.runs}
    if len(runs) < len(options.runs):
        print("guerdon imputation: two of the folders have the same name; name them apart", file=sys.stderr)
        return 2
    for folder in runs.values():
        if not any(line.get("imputation") for line in ledger.read_metrics(folder)):
            print(f"guerdon imputation: {folder} holds no run with an [imputation] section", file=sys.stderr)
            return 2
    try:
        beside = {f"{file.parent.name}/{file.name}": _read(file) for file in options.also}
    except ValueError as error:
        print(f"guerdon imputation: {error}", file=sys.stderr)
        return 2
    facts = written(runs, beside, options.out)
    for name, run in facts["runs"].items():
        print(f"{name}: {said(run)}")
    print(options.out / "report.html")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon imputation", description="Report what reward imputation saved, and how well it ranked."
    )
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of guerdon train")
    options.add_argument("--out", type=Path, required=True, help="folder of report.html and report.json")
    options.add_argument(
        "--also", action="append", default=[], type=Path, metavar="FILE.json", help="facts to show beside the runs"
    )
    return options


def written(runs: dict[str, Path], beside: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write the report; return what it says. `beside` are facts by the files they come from."""
    from jinja2 import Environment, StrictUndefined

    from grpo_trainer.imputation import curves

    metrics = {name: ledger.read_metrics(folder) for name, folder in runs.items()}
    manifests = {name: ledger.read_manifest(folder) for name, folder in runs.items()}
    settings = {name: (known.get("config") or {}).get("imputation") or {} for name, known in manifests.items()}
    facts: dict[str, Any] = {
        "runs": {name: summary.of_run(lines) for name, lines in metrics.items()},
        "settings": settings,
        "seeds": {name: known.get("seed") for name, known in manifests.items()},
        "policies": {name: known.get("policy") for name, known in manifests.items()},
        "rewards": {name: known.get("rewards") for name, known in manifests.items()},
        "packages": next(iter(manifests.values())).get("packages"),
        "beside": beside,
    }
    thresholds = {name: one.get("threshold") for name, one in settings.items()}
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    text = page.render(facts=facts, said=said, panels=curves.drawn(metrics, thresholds), shown=shown)
    (out / "report.html").write_text(text, encoding="utf-8")
    (out / "report.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return facts


def _read(file: Path) -> Any:
    """Return the facts of a JSON file.

    Raises:
        ValueError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--also {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--also {file} is not JSON: {error}") from None


def said(run: dict[str, Any]) -> str:
    """Return a run's outcome in one sentence."""
    would = "would have saved" if run["mode"] == "oracle" else "saved"
    return (
        f"{would} {run['calls_saved']:,} of {run['completions']:,} calls ({shown(run['calls_saved_share'])}); "
        f"rank agreement {shown(run['rank_agreement'])} on scores not yet learnt from"
    )


def shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
