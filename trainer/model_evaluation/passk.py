"""`guerdon passk`: how often is one of k completions right?"""

import argparse

from long_work import json_file, written_whole
from long_work.exit_status import INCOMPLETE
from long_work.real_number import above_zero, finite
from long_work.whole_number import positive
from model_evaluation import results_folder, sampling_options
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt
from model_evaluation.variety.arm import Arm, arms

LONGEST_S = 600
"""Of one completion's tests."""


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon passk`."""
    options = argparse.ArgumentParser(
        prog="guerdon passk",
        description="Draw n completions of every prompt, check them, and estimate without bias how often at least one "
        "of k is right. The results are kept as they come: the same command goes on where it was stopped.",
        epilog=f"Exit status: 0; {INCOMPLETE} some completions could not be made or checked and the same command tries "
        "them again, but for those that are refused for good (invalid_input), and the report says how many; 2 it "
        "cannot be done as asked; 130 it was interrupted.",
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
    checking.add_argument("--threshold", type=finite, metavar="X", help="the value from which a completion is right")
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
    return results_folder.evaluated("passk", argv, options, "evaluation,trainer", what, measured)


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


def measured(options: argparse.Namespace, asked: tuple[list[Arm], list[Prompt]]) -> int:
    """Draw, check, report; return the exit status."""
    found, prompts = asked
    # Statistics and charts only now: --help and mistakes are answered without them.
    from rich.console import Console

    from model_evaluation.answers import generation
    from model_evaluation.report import page
    from model_evaluation.solving import passk_report, rule

    sampling = sampling_options.sampling(options)
    right = rule.of(options, prompts)
    models = [(arm.name, seed, one) for arm in found for seed, one in arm.models.items()]
    draws = [
        generation.draws(one, prompts, sampling, options.samples, options.out, options.batch_size)
        for _, _, one in models
    ]
    setting = passk_report.Setting(options.prompts, prompts, sampling, options.samples, options.k, right.how)
    solved = [
        passk_report.Solved(arm, seed, made, table)
        for (arm, seed, _), made, table in zip(models, draws, right.verdicts(draws), strict=True)
    ]
    report = passk_report.report(setting, solved)
    json_file.write(options.out / "passk.json", report)
    written_whole.text(options.out / "passk.html", page.passk(report))
    passk_report.show(report, Console(highlight=False))
    print(f"\n{(options.out / 'passk.html').resolve()}")
    return INCOMPLETE if any(arm["to_retry"] for arm in report["arms"]) else 0


def counts(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError("whole numbers above 0 with commas between them, e.g. 1,4,16")
    return tuple(sorted({int(word) for word in words}))


def seconds(text: str) -> float:
    number = above_zero(text)
    if number > LONGEST_S:
        raise argparse.ArgumentTypeError(f"{LONGEST_S} seconds at most")
    return number
