"""`guerdon probe MODEL …`: let saved policies ask their question in each scenario, and have the questions scored."""

import argparse
import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from guerdon.client import URL, RewardClient
from long_work import exit_status, json_file, quiet, written_whole
from long_work.exit_status import INCOMPLETE
from long_work.journal import Journal
from long_work.real_number import from_zero, share
from long_work.whole_number import natural, positive
from preference_elicitation import arm, probe_prompts
from preference_elicitation.elicitation_error import ElicitationError

SETTINGS = ("split", "limit", "draws", "temperature", "max_tokens", "hub_revision", "reward", "calibrate", "seed")
"""Of the command line: what the numbers depend on, beside arms and prompts."""
TOKEN_VARIABLE = "GUERDON_REWARD_TOKEN"  # noqa: S105 - the variable's name, not a token
NOTHING = "`guerdon probe ARM… --scenarios FILE --out {out}` asks first"
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
        f"Exit status: 0; {INCOMPLETE} more questions than --may-fail have no score, or more prompts of --calibrate "
        "could not be judged: the same command tries them again; 2; 130.",
    )
    options.add_argument("arms", nargs="*", metavar="ARM", help="who asks; the first is what others are compared with")
    options.add_argument(
        "--scenarios", type=Path, metavar="FILE", help="prompts.jsonl of guerdon collect, or scenarios"
    )
    options.add_argument("--split", default="validation", help="of prompts.jsonl; all for both (default validation)")
    options.add_argument("--limit", type=positive, help="prompts at most, spread over depths and personas")
    options.add_argument("--out", type=Path, metavar="DIR", help="where the results are kept (default: none are)")
    options.add_argument("--draws", type=positive, default=1, help="questions of an arm in each scenario (default 1)")
    options.add_argument("--temperature", type=from_zero, default=1.0, help="of the policies; 0 is greedy (default 1)")
    options.add_argument("--max-tokens", type=positive, default=64, help="of a question (default 64)")
    options.add_argument("--hub-revision", metavar="COMMIT", help="of arms that are hub ids")
    options.add_argument("--reward", default="information_gain", help="the served name (default information_gain)")
    options.add_argument("--reward-url", default=URL, help=f"the reward server (default {URL})")
    options.add_argument(
        "--may-fail",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="of the questions may have no score, and of the prompts of --calibrate no prediction, without that being "
        "a failure (default 0); the report counts them",
    )
    options.add_argument("--calibrate", type=natural, default=0, metavar="N", help="prompts to judge the predictor on")
    options.add_argument("--show", type=natural, default=20, help="questions to print (default 20)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", action="store_true", help="ask nothing; write the report of what lies in --out")
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    quiet.before_imports()
    again = shlex.join(["guerdon", "probe", *argv])
    run = partial(report if options.report else probe, options)
    return exit_status.of("guerdon probe", run, "trainer", f"to go on: {again}")


def probe(options: argparse.Namespace) -> int:
    """Ask, score, print, and keep it all where there is an --out.

    Raises:
        CommandError: it cannot be done as asked, --out holds answers that were made otherwise, or a server is gone.
    """
    arms = arm.all_of(options.arms)
    if not arms or options.scenarios is None:
        raise ElicitationError("name an arm at least, and --scenarios FILE")
    rows = probe_prompts.read(options.scenarios, options.split, options.limit, options.seed)
    from preference_elicitation import manifest
    from preference_elicitation.probing import Probing
    from preference_elicitation.reward_scores import Rewards

    with ExitStack() as stack:
        client = stack.enter_context(RewardClient(options.reward_url, os.environ.get(TOKEN_VARIABLE)))
        rewards = Rewards(client, options.reward)
        folder = options.out or Path(stack.enter_context(TemporaryDirectory()))
        probing = Probing(options, rewards, rows, _others(options, arms, rows), folder)
        settings = {name: getattr(options, name) for name in SETTINGS}
        probing.claim(manifest.of_probe(settings, arms, rewards.info, options.scenarios, probing.others))
        for one in arms:
            probing.ask(one)
        asked = probing.asked()
        _show(asked[: options.show])
        unscored = sum(one["value"] is None for one in asked) / len(asked)
        unjudged = probing.calibrate(options.calibrate) if options.calibrate else 0.0
        if options.out:
            report(options)
    return INCOMPLETE if max(unscored, unjudged) > options.may_fail else 0


def report(options: argparse.Namespace) -> int:
    """Write report.json and report.html of what was asked.

    Raises:
        CommandError: nothing was, or what lies beside it cannot be read.
    """
    from preference_elicitation import page
    from preference_elicitation.gain_report import reported
    from preference_elicitation.probing import ASKED, CALIBRATION, MANIFEST

    if options.out is None or not (options.out / ASKED).exists():
        raise ElicitationError(f"there is nothing to report on: {NOTHING.format(out=options.out or 'DIR')}")
    asked = Journal(options.out / ASKED).records()
    if not asked:
        raise ElicitationError(f"{options.out / ASKED} holds no answer: {NOTHING.format(out=options.out)}")
    calibration = options.out / CALIBRATION
    judged = json_file.read(calibration) if calibration.exists() else None
    made = reported(asked, judged, json_file.read(options.out / MANIFEST), options.seed)
    json_file.write(options.out / "report.json", made)
    written_whole.text(options.out / "report.html", page.page(made))
    for line in page.lines(made):
        print(line)
    print((options.out / "report.html").resolve())
    return 0


def _others(options: argparse.Namespace, arms: Sequence[arm.Arm], rows: Sequence[Row]) -> list[str]:
    """Return on whom candidates are tried; where an arm needs somebody, every row has to have one.

    Raises:
        ElicitationError: a row has none.
    """
    found = probe_prompts.others(options.scenarios, rows)
    if any(one.kind == "best" for one in arms):
        for row in rows:
            probe_prompts.tried_on(row, found)
    return found


def _show(asked: Sequence[Row]) -> None:
    for one in asked:
        gain = one["status"] if one["value"] is None else f"{one['value']:+.3f}"
        print(f"{gain:>8}  {one['arm']:<16}{one['persona']:<18}{one['question'] or '(nothing)'}")
