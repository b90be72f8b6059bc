"""`guerdon diversity`: how varied are models' completions of the same prompts, and at which quality?"""

import argparse

from long_work import json_file, written_whole
from long_work.exit_status import INCOMPLETE
from long_work.real_number import from_zero
from long_work.whole_number import positive
from model_evaluation import results_folder, sampling_options
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt
from model_evaluation.variety.arm import Arm, arms


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon diversity`."""
    options = argparse.ArgumentParser(
        prog="guerdon diversity",
        description="Draw several completions of every prompt from one model or more, and say how varied each set of "
        "them is, how good, and which arms differ. The results are kept as they come: the same command goes on.",
        epilog="--model set@0=DIR --model set@1=DIR are two seeds of the arm `set`: arms are compared seed by seed. "
        f"Exit status: 0; {INCOMPLETE} some completions or scores failed and the same command tries them again, but "
        "for those that are refused for good (invalid_input), and the report says how many; 2 it cannot be done as "
        "asked; 130 it was interrupted.",
    )
    sampling_options.add(options, samples=8, reference="what a good completion is, for the rewards")
    options.add_argument(
        "--reward", action="append", default=[], metavar="NAME", help="a served reward of one completion: its quality"
    )
    options.add_argument("--reward-url", default=sampling_options.REWARD_URL, metavar="URL", help="who serves them")
    options.add_argument(
        "--margin",
        type=from_zero,
        default=0.02,
        help="qualities whose difference's interval lies within it are equal (default 0.02)",
    )
    options.add_argument("--baseline", metavar="ARM", help="the arm that others are said to differ from (the first)")
    options.add_argument("--no-embeddings", action="store_true", help="leave out what needs MiniLM: semantic, vendi")
    options.add_argument(
        "--vocabulary", type=positive, default=50_000, help="V of the expectation-adjusted ead_n (default 50000)"
    )
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    return results_folder.evaluated("diversity", argv, options, "evaluation,reward", what, measured)


def what(options: argparse.Namespace) -> tuple[list[Arm], list[Prompt]]:
    """Return who is compared on what, all that can be known before anything is started.

    Raises:
        EvaluationError: it cannot be done as asked.
    """
    found = arms(options.model)
    names = [arm.name for arm in found]
    if options.baseline is not None and options.baseline not in names:
        raise EvaluationError(f"--baseline {options.baseline}: there is no such arm; there are: {', '.join(names)}")
    if options.samples < 2:
        raise EvaluationError("--samples 1: the diversity of one completion is undefined; give 2 or more")
    return found, sampling_options.prompts(options)


def measured(options: argparse.Namespace, asked: tuple[list[Arm], list[Prompt]]) -> int:
    """Draw, score, measure, report; return the exit status."""
    found, prompts = asked
    # Statistics, charts and the encoder only now: --help and mistakes are answered without them.
    from rich.console import Console

    from model_evaluation.answers import generation
    from model_evaluation.report import page
    from model_evaluation.variety import completion_quality, diversity_report, set_table, terminal

    infos = completion_quality.served(options.reward, options.reward_url) if options.reward else {}
    sampling = sampling_options.sampling(options)
    models = [(arm.name, seed, one) for arm in found for seed, one in arm.models.items()]
    draws = [
        generation.draws(one, prompts, sampling, options.samples, options.out, options.batch_size)
        for _, _, one in models
    ]
    quality = completion_quality.scored(infos, options.reward_url, prompts, draws, options.out) if infos else {}
    sets = set_table.measured(draws, options.vocabulary, embed=not options.no_embeddings)
    drawn = [
        diversity_report.Drawn(arm, seed, made, table, {name: tables[place] for name, tables in quality.items()})
        for place, ((arm, seed, _), made, table) in enumerate(zip(models, draws, sets, strict=True))
    ]
    setting = diversity_report.Setting(
        source=options.prompts,
        prompts=prompts,
        sampling=sampling,
        samples=options.samples,
        rewards=infos,
        margin=options.margin,
        baseline=options.baseline or found[0].name,
        vocabulary=options.vocabulary,
    )
    report = diversity_report.report(setting, drawn)
    json_file.write(options.out / "diversity.json", report)
    written_whole.text(options.out / "diversity.html", page.diversity(report))
    terminal.show_diversity(report, Console(highlight=False))
    print(f"\n{(options.out / 'diversity.html').resolve()}")
    return INCOMPLETE if any(arm["to_retry"] for arm in report["arms"]) else 0
