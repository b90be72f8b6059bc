"""`guerdon passk`: how often is one of k completions right?"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial

from model_evaluation import results_folder, sampling_options
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.exit_status import INCOMPLETE
from model_evaluation.judge_options import positive
from model_evaluation.prompts import Prompt
from model_evaluation.variety.arm import Arm, arms


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon passk`."""
    options = argparse.ArgumentParser(
        prog="guerdon passk",
        description="Draw n completions of every prompt, check them, and estimate without bias how often at least one "
        "of k is right. The results are kept as they come: the same command goes on where it was stopped.",
        epilog=f"Exit status: 0; {INCOMPLETE} some completions could not be made or checked, the report says how many; "
        "2 it cannot be done as asked; 130 it was interrupted.",
    )
    sampling_options.add(options, samples=16, reference="the right answer, regular expression or tests of a prompt")
    options.add_argument("--k", type=counts, default=(1, 4, 8, 16), metavar="K,…", help="(default 1,4,8,16)")
    checking = options.add_argument_group("checking")
    checking.add_argument(
        "--check",
        choices=("exact", "regex", "reward", "tests"),
        required=True,
        help="exact: the reference, but for case and marks; regex: found in it; reward: a served one is high enough; "
        "tests: Python code that runs with its tests",
    )
    checking.add_argument("--pattern", metavar="REGEX", help="one for all prompts, in the place of references")
    checking.add_argument("--reward", metavar="NAME", help="the served reward of --check reward")
    checking.add_argument("--reward-url", default=sampling_options.REWARD_URL, metavar="URL", help="who serves it")
    checking.add_argument("--threshold", type=float, metavar="X", help="the value from which a completion is right")
    checking.add_argument("--continues", action="store_true", help="completions continue the prompt's own code")
    checking.add_argument(
        "--isolation",
        choices=("auto", "docker", "process"),
        default="auto",
        help="of tests; auto: a container where an engine answers, else a process without network (default auto)",
    )
    checking.add_argument("--image", default="python:3.12-slim", help="of containers (default python:3.12-slim)")
    checking.add_argument("--test-timeout", type=seconds, default=10.0, metavar="S", help="of tests (default 10)")
    checking.add_argument("--test-memory", type=positive, default=1024, metavar="MB", help="of tests (default 1024)")
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    try:
        found, prompts = what(options)
        with results_folder.opened(options.out):
            return run(options, found, prompts)
    except EvaluationError as error:
        print(f"guerdon passk: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"guerdon passk needs {error.name!r}: pip install 'guerdon[evaluation,trainer]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = shlex.join(["guerdon", "passk", *argv])
        print(f"\nguerdon passk: stopped; what there is lies in {options.out}. To go on: {again}", file=sys.stderr)
        return 130


def what(options: argparse.Namespace) -> tuple[list[Arm], list[Prompt]]:
    """Return who is measured on what, all that can be known before anything is started.

    Raises:
        EvaluationError: it cannot be done as asked.
    """
    if max(options.k) > options.samples:
        raise EvaluationError(
            f"pass@{max(options.k)} needs {max(options.k)} completions of a prompt, and --samples is "
            f"{options.samples}: give more samples, or a smaller --k"
        )
    if options.check == "reward" and (options.reward is None or options.threshold is None):
        raise EvaluationError("--check reward needs --reward NAME and --threshold X")
    return arms(options.model), sampling_options.prompts(options)


def run(options: argparse.Namespace, found: Sequence[Arm], prompts: Sequence[Prompt]) -> int:
    """Draw, check, report; return the exit status."""
    # Statistics and charts only now: --help and mistakes are answered without them.
    from rich.console import Console

    from model_evaluation.answers import generation
    from model_evaluation.answers.generation import Draws
    from model_evaluation.report import page
    from model_evaluation.solving import checkers, checking, confinement, passk_report
    from model_evaluation.variety import completion_quality

    drawing = sampling_options.sampling(options)
    check: checkers.Checker | None = None
    if options.check == "exact":
        check = checkers.exact(prompts)
    elif options.check == "regex":
        check = checkers.regex(prompts, options.pattern)
    elif options.check == "tests":
        limits = confinement.Limits(options.test_timeout, options.test_memory)
        place = confinement.chosen(options.isolation, limits, options.image)
        check = checkers.tests(prompts, place, continues=options.continues)
    infos = completion_quality.served([options.reward], options.reward_url) if options.check == "reward" else {}
    models = [(arm.name, seed, one) for arm in found for seed, one in arm.models.items()]
    make = partial(
        generation.draws,
        prompts=prompts,
        sampling=drawing,
        number=options.samples,
        out=options.out,
        batch=options.batch_size,
    )
    draws: list[Draws] = [make(one) for _, _, one in models]
    if check is not None:
        tables = checking.checked(check, prompts, draws, options.out)
        how = {"check": options.check, "rule": list(check.identity)}
    else:
        scores = completion_quality.scored(infos, options.reward_url, prompts, draws, options.out)[options.reward]
        tables = [
            [[checkers.at_least(one, options.threshold) for one in row] for row in of_model] for of_model in scores
        ]
        version = infos[options.reward].version
        how = {"check": "reward", "reward": options.reward, "version": version, "threshold": options.threshold}
    setting = passk_report.Setting(options.prompts, prompts, drawing, options.samples, options.k, how)
    solved = [
        passk_report.Solved(arm, seed, made, table)
        for (arm, seed, _), made, table in zip(models, draws, tables, strict=True)
    ]
    report = passk_report.report(setting, solved)
    results_folder.write_json(options.out / "passk.json", report)
    results_folder.write(options.out / "passk.html", page.passk(report))
    passk_report.show(report, Console(highlight=False))
    print(f"\n{(options.out / 'passk.html').resolve()}")
    return INCOMPLETE if any(arm["unknown"] for arm in report["arms"]) else 0


def counts(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError("whole numbers above 0 with commas between them, e.g. 1,4,16")
    return tuple(sorted({int(word) for word in words}))


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 600:
        raise argparse.ArgumentTypeError("above 0, and 600 at most")
    return number
