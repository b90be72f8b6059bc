"""`guerdon sqlcot COMMAND`: rows for SQL-CoT, a corpus for a small policy, and what a trained policy makes of rows."""

import sys
from importlib import import_module

from long_work.command_error import CommandError

COMMANDS = {
    "build": "rows of SQL, question and reasoning from a database",
    "corpus": "examples of the answer's form, to train a small model on",
    "evaluate": "how well models' scores agree with the targets of rows",
    "filter": "keep the rows that a trained model scores high",
}


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when it cannot do what it was asked."""
    if not argv or argv[0] in {"-h", "--help", "help"}:
        print(usage(), end="")
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        print(f"guerdon sqlcot: no command {name!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return int(import_module(f"grpo_trainer.sql_cot.{name}").main(rest))
    except (CommandError, OSError, ValueError) as error:
        print(f"guerdon sqlcot {name}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"guerdon sqlcot {name} needs {error.name!r}: pip install 'guerdon[trainer]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"guerdon sqlcot {name}: interrupted; the same command goes on", file=sys.stderr)
        return 130


def usage() -> str:
    rows = "\n".join(f"  {name:<10}{said}" for name, said in COMMANDS.items())
    return f"usage: guerdon sqlcot COMMAND [ARGUMENTS]     guerdon sqlcot COMMAND --help\n\n{rows}\n"
