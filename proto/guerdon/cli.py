"""The `guerdon` command: a table of commands, each imported only when it is called."""

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
    "sqlcot": Command("grpo_trainer.sql_cot.build", "main", "build the SQL-CoT dataset from a database", "trainer"),
}


def usage() -> str:
    rows = "\n".join(f"  {name:<10}{command.help}" for name, command in COMMANDS.items())
    return f"""guerdon {__version__}: rewards for online reinforcement learning, as a service

usage: guerdon COMMAND [ARGUMENTS]     guerdon COMMAND --help

{rows}
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
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
