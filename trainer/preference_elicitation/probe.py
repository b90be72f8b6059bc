"""`guerdon probe MODEL …`: let saved policies ask their question in each scenario, and have the questions scored."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from guerdon.client import URL, RewardClient
from guerdon.messages import RewardInfo
from preference_elicitation import arm, catalogue
from preference_elicitation.collect import INCOMPLETE, natural, positive
from preference_elicitation.dialogue import opened, prompt
from preference_elicitation.elicitation_error import ElicitationError

ASKED, CALIBRATION, MANIFEST = "asked.jsonl", "calibration.json", "manifest.json"
SETTINGS = ("split", "limit", "draws", "temperature", "max_tokens", "hub_revision", "reward", "calibrate", "seed")
"""Of the command line: what the numbers depend on, beside arms and prompts."""
TOKEN_VARIABLE = "GUERDON_REWARD_TOKEN"  # noqa: S105 - the variable's name, not a token
OTHERS = 5
"""Personas that a candidate of best-of-N is tried on."""
Row = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon probe",
        description="Let each arm ask its question in every scenario, score the questions through a reward server that "
        "serves information_gain, print them and report gain, accuracy and calibration. The same command again goes "
        "on where it was stopped.",
        epilog="An arm is [NAME[/SEED]=]MODEL (directory, hub id, package:NAME, endpoint:URL#MODEL), [NAME=]random (a "
        "question of the bank that ships), or [NAME=]best-of-N:MODEL (the one of N questions with the highest gain to "
        "be expected). Arms of one NAME are one policy trained with several seeds. "
        f"Exit status: 0; {INCOMPLETE} some questions have no score, the same command tries them again; 2; 130.",
    )
    options.add_argument("arms", nargs="*", metavar="ARM", help="who asks; the first is what others are compared with")
    options.add_argument(
        "--scenarios", type=Path, metavar="FILE", help="prompts.jsonl of guerdon collect, or scenarios"
    )
    options.add_argument("--split", default="validation", help="of prompts.jsonl; all for both (default validation)")
    options.add_argument("--limit", type=positive, help="prompts at most, spread over the file")
    options.add_argument("--out", type=Path, metavar="DIR", help="where the results are kept (default: none are)")
    options.add_argument("--draws", type=positive, default=1, help="questions of an arm in each scenario (default 1)")
    options.add_argument("--temperature", type=float, default=1.0, help="of the policies; 0 is greedy (default 1)")
    options.add_argument("--max-tokens", type=positive, default=64, help="of a question (default 64)")
    options.add_argument("--hub-revision", metavar="COMMIT", help="of arms that are hub ids")
    options.add_argument("--reward", default="information_gain", help="the served name (default information_gain)")
    options.add_argument("--reward-url", default=URL, help=f"the reward server (default {URL})")
    options.add_argument("--calibrate", type=natural, default=0, metavar="N", help="prompts to judge the predictor on")
    options.add_argument("--show", type=natural, default=20, help="questions to print (default 20)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", action="store_true", help="ask nothing; write the report of what lies in --out")
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    try:
        if options.report:
            return report(options)
        return probe(options)
    except (ElicitationError, OSError, ValueError) as error:
        print(f"guerdon probe: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["guerdon", "probe", *argv])
        print(f"\nguerdon probe: stopped; to go on: {again}", file=sys.stderr)
        return 130


def probe(options: argparse.Namespace) -> int:
    """Ask, score, print, and keep it all where there is an --out.

    Raises:
        ElicitationError: it cannot be done as asked, or a server is gone.
    """
    arms = arm.all_of(options.arms)
    if not arms or options.scenarios is None:
        raise ElicitationError("name an arm at least, and --scenarios FILE")
    rows = prompts(options.scenarios, options.split, options.limit, options.seed)
    from preference_elicitation.probing import Probing

    with ExitStack() as stack:
        client = stack.enter_context(RewardClient(options.reward_url, os.environ.get(TOKEN_VARIABLE)))
        probing = Probing.opened(options, client, rows, _others(options.scenarios, rows))
        if options.out:
            _write_manifest(options, arms, probing.rewards.info)
        for one in arms:
            probing.ask(one)
        asked = probing.asked()
        _show(asked[: options.show])
        if options.calibrate:
            probing.calibrate(options.calibrate)
    if options.out:
        report(options)
    return INCOMPLETE if any(one["value"] is None for one in asked) else 0


def prompts(path: Path, split: str, limit: int | None, seed: int) -> list[Row]:
    """Return the rows to ask in: of prompts.jsonl those of a split, or the openings of a file of scenarios.

    Raises:
        ElicitationError: there are none.
    """
    if path.suffix == ".jsonl":
        every = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row for row in every if split in ("all", row["split"])]
    else:
        said = [opened(one) for one in catalogue.scenarios(path)]
        rows = [
            {
                "scenario": one.scenario,
                "depth": 0,
                "persona": one.persona,
                "prompt": prompt(one.turns),
                "transcript": [turn.model_dump() for turn in one.turns],
                "pair_seed": seed + place,
            }
            for place, one in enumerate(said)
        ]
    if not rows:
        raise ElicitationError(f"{path} has no prompts with split = {split!r}")
    rows.sort(key=lambda row: (row["scenario"], row["depth"]))
    return rows if limit is None else [rows[len(rows) * place // limit] for place in range(min(limit, len(rows)))]


def report(options: argparse.Namespace) -> int:
    """Write report.json and report.html of what was asked.

    Raises:
        ElicitationError: nothing was.
    """
    if options.out is None or not (options.out / ASKED).exists():
        raise ElicitationError("there is nothing to report on: --out names no folder of guerdon probe")
    from preference_elicitation import page
    from preference_elicitation.gain_report import reported

    asked = [json.loads(line) for line in (options.out / ASKED).read_text(encoding="utf-8").splitlines()]
    calibration, manifest = _read(options.out / CALIBRATION), _read(options.out / MANIFEST)
    made = reported(asked, calibration, manifest or {}, options.seed)
    text = json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False)
    (options.out / "report.json").write_text(f"{text}\n", encoding="utf-8")
    (options.out / "report.html").write_text(page.page(made), encoding="utf-8")
    for line in page.lines(made):
        print(line)
    print((options.out / "report.html").resolve())
    return 0


def _write_manifest(options: argparse.Namespace, arms: Sequence[arm.Arm], reward: RewardInfo) -> None:
    """Write what is asked now; arms of an earlier probe in the same folder, whose questions are kept, stay."""
    from preference_elicitation.manifest import of_probe

    settings = {name: getattr(options, name) for name in SETTINGS}
    now = of_probe(settings, arms, reward, options.scenarios)
    before = _read(options.out / MANIFEST) or {"arms": {}}
    text = json.dumps(now | {"arms": before["arms"] | now["arms"]}, indent=1, ensure_ascii=False)
    (options.out / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _others(path: Path, rows: Sequence[Row]) -> list[str]:
    """Return personas that are not probed, to try candidates on; those of training, where the file says so."""
    probed = {row["persona"] for row in rows}
    every = [one["persona"] for one in prompts(path, "all", None, 0)]
    return [name for name in dict.fromkeys(every) if name not in probed][:OTHERS] or list(probed)[:OTHERS]


def _show(asked: Sequence[Row]) -> None:
    for one in asked:
        gain = one["status"] if one["value"] is None else f"{one['value']:+.3f}"
        print(f"{gain:>8}  {one['arm']:<16}{one['persona']:<18}{one['question']}")
