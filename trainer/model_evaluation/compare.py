"""`guerdon compare`: the same prompts to several models, their answers to a judge, and an honest report."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from long_work import content_digest, exit_status, json_file, written_whole
from long_work.exit_status import INCOMPLETE
from long_work.whole_number import natural
from model_evaluation import judge_options, results_folder, sampling_options
from model_evaluation import prompts as prompt_source
from model_evaluation.answers import contestant
from model_evaluation.answers.checkpoint import located
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt

VERDICTS = "verdicts.jsonl"


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon compare`."""
    options = argparse.ArgumentParser(
        prog="guerdon compare",
        description="Give the same prompts to several models and let a judge say, in both orders, whose answer is "
        "better. The results are kept as they come: the same command again goes on where it was stopped.",
        epilog=f"Exit status: 0 every comparison has a verdict; {INCOMPLETE} some have none, the report says how many; "
        "2 it cannot be done as asked; 130 it was interrupted.",
    )
    options.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]ID",
        help=f"{sampling_options.MODEL}; give two or more",
    )
    options.add_argument(
        "--outputs",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="in a model's place: its answers in the form of AlpacaEval's model_outputs.json",
    )
    sampling_options.add_prompts(options, required=False, reference="a column of good answers to show the judge")
    sampling_options.add_sampling(options, temperature=0.7, top_p=0.9, max_tokens=1024, batch=8)
    judge_options.add(options)
    options.add_argument(
        "--criteria",
        type=judge_options.criteria,
        metavar="TEXT",
        help="what the judge is to look at (default: overall quality)",
    )
    options.add_argument("--tags", type=tags, default=(), help="count the answers that keep these, e.g. think,score")
    options.add_argument(
        "--show-samples", type=natural, default=5, metavar="N", help="samples unfolded on the page (default 5)"
    )
    options.add_argument("--dry-run", action="store_true", help="say what it would ask and cost, and ask nothing")
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    stopped = results_folder.stopped(options.out, "compare", argv)
    return exit_status.of("guerdon compare", partial(run, options), "evaluation,trainer", stopped)


def run(options: argparse.Namespace) -> int:
    """Compare; return the exit status.

    Raises:
        EvaluationError: it cannot be done as asked.
    """
    contestants, prompts = what(options)
    with results_folder.opened(options.out), judge_options.server(options) as url:
        return compared(options, contestants, prompts, url)


def what(options: argparse.Namespace) -> tuple[list[Contestant], list[Prompt]]:
    """Return who is compared on what, all that can be known before anything is started.

    Raises:
        EvaluationError: it cannot be done as asked.
    """
    contestants = contestant.all_of(options.model, options.outputs)
    for one in contestants:
        if one.kind == "local" and (hint := _trained_differently(one, options)):
            print(hint, file=sys.stderr)
    if options.prompts:
        every = prompt_source.read(options.prompts, options.column, options.reference_column)
        return contestants, prompt_source.sampled(every, options.num, options.seed, options.prompts)
    files = [one.source for one in contestants if one.kind == "outputs"]
    if not files:
        raise EvaluationError("--prompts is missing: a file, or dataset:NAME; only files of outputs bring their own")
    return contestants, prompt_source.sampled(_common(files), options.num, options.seed, " and ".join(files))


def compared(
    options: argparse.Namespace, contestants: Sequence[Contestant], prompts: Sequence[Prompt], url: str
) -> int:
    """Generate, judge, report; return the exit status."""
    # Statistics and charts only now: --help and mistakes are answered without them.
    from rich.console import Console

    from model_evaluation import cost_estimate, judge, judging, spending
    from model_evaluation.answers import generation
    from model_evaluation.journal import Journal
    from model_evaluation.report import comparison_report, page, terminal

    info = judge_options.asked(options, url)
    if info.warning:
        print(f"! The judge {info.name}: {info.warning}", file=sys.stderr)
    sampling = sampling_options.sampling(options)
    asked = judge_options.judge(options, url, info, _run_name(contestants, prompts, sampling, options))
    if options.dry_run:
        kept = [generation.kept(one, prompts, sampling, options.out) for one in contestants]
        verdicts = Journal(options.out / VERDICTS) if (options.out / VERDICTS).exists() else None
        print(cost_estimate.estimated(asked, prompts, kept, sampling, options.criteria, verdicts).shown)
        return 0
    answers = [generation.answers(one, prompts, sampling, options.out, options.batch_size) for one in contestants]
    journal = Journal(options.out / VERDICTS)
    games = judging.judged(asked, judging.games(prompts, answers), options.criteria, journal)
    source = options.prompts or "the files of outputs"
    setting = comparison_report.Setting(source, prompts, sampling, info, asked.run, options.criteria, options.tags)
    budget = judge.budget(asked)
    report = comparison_report.report(setting, answers, games, budget)
    json_file.write(options.out / "report.json", report)
    written_whole.text(options.out / "report.html", page.comparison(report, options.show_samples))
    terminal.show(report, Console(highlight=False))
    if cut_off := spending.presumed(budget):
        print(cut_off)
    print(f"\n{(options.out / 'report.html').resolve()}")
    return 0 if all(game.outcome.winner for game in games) else INCOMPLETE


def tags(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().strip("<>") for name in text.split(","))
    if not all(name.isidentifier() for name in names):
        raise argparse.ArgumentTypeError("names of tags with commas between them, e.g. think,score")
    return names


def _common(files: Sequence[str]) -> list[Prompt]:
    """Return the prompts that every file of outputs answers."""
    from model_evaluation.answers import model_outputs

    known = [{prompt.turns for prompt in model_outputs.prompts(file)} for file in files[1:]]
    return [prompt for prompt in model_outputs.prompts(files[0]) if all(prompt.turns in some for some in known)]


def _trained_differently(one: Contestant, options: argparse.Namespace) -> str | None:
    """Return a hint when a policy was trained on prompts of another form than it will be asked in."""
    policy = located(one.source).policy or {}
    if options.prompt_format == "plain" or policy.get("prompt") != "plain":
        return None
    ends = policy.get("end_of_turn")
    stop = f" --stop {shlex.quote(ends.replace(chr(10), chr(92) + 'n'))}" if ends else ""
    return f"! {one.name} was trained on prompts that are text to continue: --prompt-format plain{stop} asks it so."


def _run_name(
    contestants: Sequence[Contestant], prompts: Sequence[Prompt], sampling: Sampling, options: argparse.Namespace
) -> str:
    """Name the evaluation in the judge server's books: the same for the same comparison, however often it is run."""
    who = [[one.name, *_source(one), one.model] for one in contestants]
    return f"compare-{content_key([who, [one.id for one in prompts], sampling.record(), options.criteria])}"


def _source(one: Contestant) -> list[str]:
    """Return where answers come from, however it was typed; of a file of outputs, what is in it too."""
    path = Path(one.source).expanduser()
    if one.kind == "endpoint" or not path.exists():
        return [one.source]
    written = [content_digest.of(path)] if one.kind == "outputs" else []
    return [str(path.resolve()), *written]
