"""The `guerdon` command: a table of commands, each imported only when it is called."""

import os
import select
import sys
from importlib import import_module
from typing import NamedTuple

from guerdon import __version__


class Command(NamedTuple):
    """Where a command lives, what it does, and the extra of the distribution that brings what it imports."""

    module: str
    function: str
    help: str
    extra: str


COMMANDS = {
    "up": Command("local_stack.up", "main", "run reward server, worker, Redis and judge server here", "reward"),
    "rewards": Command("reward_server.check", "main", "list or check the rewards of a rewards.toml", "reward"),
    "demo": Command("local_stack.demo", "main", "train a small model against served rewards and show it", "demo"),
    "train": Command("grpo_trainer.train", "main", "train a policy with GRPO: guerdon train RUN.toml", "trainer"),
    "compare": Command(
        "model_evaluation.compare", "main", "compare models through a judge, with a report", "evaluation"
    ),
    "judge": Command("model_evaluation.judge_command", "main", "grade answers, or audit a judge", "evaluation"),
    "doctor": Command(
        "grpo_trainer.examination.doctor",
        "main",
        "say what would keep a run from starting, and what it costs",
        "trainer",
    ),
    "pipeline": Command("research_pipelines.pipeline", "main", "run a research system from data to report", "trainer"),
    "collect": Command(
        "preference_elicitation.collect", "main", "collect the prompts of the elicitation run", "trainer"
    ),
    "probe": Command(
        "preference_elicitation.probe", "main", "let a saved policy ask its questions, and score them", "trainer"
    ),
    "chat": Command("preference_elicitation.chat", "main", "talk to a model", "trainer"),
    "diversity": Command(
        "model_evaluation.diversity", "main", "compare how varied models' completions are", "evaluation"
    ),
    "passk": Command("model_evaluation.passk", "main", "measure pass@k of models, without bias", "evaluation"),
    "critic": Command(
        "critic_trainer.critic_command", "main", "label replies, train a critic on them, examine it", "trainer"
    ),
    "recommender": Command(
        "empathetic_recommender.recommender_command",
        "main",
        "data, metrics and a simulated user for recommenders",
        "trainer",
    ),
    "reward-model": Command(
        "reward_model_trainer.train", "main", "train a Bradley-Terry reward model on preferences", "trainer"
    ),
    "imputation": Command(
        "grpo_trainer.imputation.report", "main", "report what reward imputation saved in runs", "evaluation"
    ),
    "small-model": Command(
        "small_model.build", "main", "train a small language model from scratch on a corpus", "trainer"
    ),
    "openers": Command(
        "grpo_trainer.openers.build", "main", "make the corpus and prompts of the polychromic proof", "trainer"
    ),
    "sqlcot": Command(
        "grpo_trainer.sql_cot.sqlcot_command", "main", "rows of SQL and reasoning: build, evaluate, filter", "trainer"
    ),
}

HUNG_UP = 141
"""128 + SIGPIPE: what a shell says of a command whose reader has gone."""


def usage() -> str:
    width = 2 + max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items())
    return f"""guerdon {__version__}: rewards for online reinforcement learning, as a service

usage: guerdon COMMAND [ARGUMENTS]     guerdon COMMAND --help

{rows}
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status, 141 where who read its output has gone, as in `guerdon … | head`."""
    try:
        try:
            return answered(sys.argv[1:] if argv is None else argv)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # Python's own flush, at exit, would print a traceback
    except BrokenPipeError:
        if not silenced():
            raise  # a pipe of the command's own
        return HUNG_UP


def silenced() -> bool:
    """Lead standard output and error to nowhere where nobody reads them any more; return whether either was so."""
    poll = select.poll()
    for stream in (1, 2):
        poll.register(stream, 0)  # errors and hang-ups are told unasked
    gone = [stream for stream, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    return bool(gone)


def answered(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(usage(), end="")
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"guerdon: no command {name!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run(name, rest)


def run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    try:
        module = import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == command.module.split(".")[0]:
            raise  # our own package is missing: a broken installation, not a missing extra
        print(
            f"guerdon {name} needs the package {error.name!r}, which is not installed here.\n"
            f"Install it with:  pip install 'guerdon[{command.extra}]'",
            file=sys.stderr,
        )
        return 1
    sys.argv[0] = f"guerdon {name}"
    return int(getattr(module, command.function)(arguments) or 0)


if __name__ == "__main__":
    sys.exit(main())
