"""`guerdon imputation RUN… --out DIR`: what imputation saved in each run and how well it ranked, as page and JSON."""

import argparse
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from grpo_trainer.imputation import summary
from grpo_trainer.record import ledger
from long_work import exit_status, json_file, written_whole
from long_work.command_error import CommandError

TEMPLATE = files("grpo_trainer") / "display/report_template/imputation.html"


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    run = partial(report, parser().parse_args(argv))
    return exit_status.of("guerdon imputation", run, "trainer,evaluation", "the report is not written")


def report(options: argparse.Namespace) -> int:
    """Write the report and print what it says of each run.

    Raises:
        CommandError: a folder holds no run that imputes, a file no facts, or the report cannot be written.
    """
    runs = {folder.name: folder for folder in options.runs}
    if len(runs) < len(options.runs):
        raise CommandError("two of the folders have the same name; name them apart")
    for folder in runs.values():
        if not any(line.get("imputation") for line in ledger.read_metrics(folder)):
            raise CommandError(f"{folder} holds no run with an [imputation] section")
    beside = {f"{file.parent.name}/{file.name}": json_file.read(file) for file in options.also}
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
    text = page.render(facts=facts, said=said, panels=curves.drawn(metrics, thresholds), shown=shown)
    written_whole.text(out / "report.html", text)
    json_file.write(out / "report.json", facts)
    return facts


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
