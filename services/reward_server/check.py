"""`guerdon rewards`: say what a rewards.toml serves, or try it: load every model, score every golden item."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from reward_server import catalog, reports
from reward_server.catalog import Catalog
from reward_server.golden import Expectation, expectations
from reward_server.in_process import InProcess
from reward_server.rewards import Reward
from reward_server.settings import Settings
from reward_server.trial import Trial, load, score

COMMANDS = {
    "list": "Say what is served.",
    "check": "Load every model and score its golden items, without Redis. Exit status: 0 all is well, 1 something does "
    "not work, 2 the configuration is wrong.",
}


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon rewards`."""
    options = argparse.ArgumentParser(
        prog="guerdon rewards", description="List or check the rewards of a rewards.toml."
    )
    commands = options.add_subparsers(dest="command", required=True)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does.partition(".")[0].lower(), description=does)
        command.add_argument(
            "file", nargs="?", type=Path, help="a rewards.toml (default: GUERDON_REWARD_CONFIG, or ours)"
        )
        command.add_argument("--json", action="store_true", help="print JSON")
    return options


def main(argv: list[str]) -> int:
    """Run one command; return its exit status."""
    options = parser().parse_args(argv)
    try:
        settings = Settings()
        served = catalog.load(options.file or settings.config)
        golden = {name: expectations(one) for name, one in served.served.items()}
    except ValueError as error:
        print(f"guerdon rewards: {error}", file=sys.stderr)
        return 2
    if options.command == "list":
        print(reports.listed_json(served) if options.json else reports.listed(served))
        return 0
    trials = asyncio.run(checked(served, golden, settings))
    print(reports.tried_json(trials) if options.json else reports.tried(trials))
    return 0 if all(trial.passed for trial in trials) else 1


async def checked(
    served: Catalog, golden: Mapping[str, Sequence[Sequence[Expectation]]], settings: Settings
) -> list[Trial]:
    """Load everything that is served, then score the golden items of all that does not build on what did not load."""
    if any(one.kind.runs == "worker" for one in served.served.values()):
        with suppress(ImportError):
            import_module("torch")  # before anything is measured: its memory is no one model's
    trials = {}
    for name, one in served.served.items():
        print(f"loading {name}", file=sys.stderr)
        trials[name] = load(one)
    queue = InProcess(settings)
    for name, trial in trials.items():
        needed = [one for one in built_on(served, name) if trials[one].load_s is None]
        if needed:
            trial.problems.append(f"builds on {min(needed)}, which does not load")
        elif trial.load_s is not None:
            print(f"scoring {name}", file=sys.stderr)
            await score(trial, served, queue, golden[name])
    queue.close()
    return list(trials.values())


def built_on(served: Catalog, name: str) -> set[str]:
    """Return the names of everything that a reward needs, directly or not."""
    kind = served.served[name].kind
    if not isinstance(kind, Reward):
        return set()
    direct = {*kind.needs(), *kind.asks(), *([served.encoder.name] if kind.embeds and served.encoder else [])}
    return direct.union(*(built_on(served, one) for one in direct))
