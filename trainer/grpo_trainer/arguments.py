"""The command line of `guerdon train`."""

import argparse
import tomllib
from typing import Any

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import shipped
from grpo_trainer.config.run_place import Place
from grpo_trainer.config.run_size import REAL, SMOKE


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="guerdon train",
        description="Train a policy with GRPO against served rewards, as one TOML file describes it.",
        epilog=f"The sections of a run file: {sections()}, and [size.NAME.SECTION] laid over them by --size NAME; "
        "their keys are in grpo_trainer/config/run_config.py and in any run that ships.",
    )
    described(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in --out, with the same settings, policy, data and reward versions; only "
        "where it writes, whom it asks and how long it trains may be others",
    )
    parser.add_argument(
        "--resume-changed",
        action="store_true",
        help="go on with a run that is another now; the manifest that it had is kept as manifest-N.json",
    )
    arguments = parser.parse_args(argv)
    arguments.resume |= arguments.resume_changed
    return arguments


def sections() -> str:
    return ", ".join(f"[[{name}]]" if name == "rewards" else f"[{name}]" for name in RunConfig.model_fields)


def described(parser: argparse.ArgumentParser) -> None:
    """Add what says which run is meant: the file, its size, and what the command line says instead of them."""
    parser.add_argument("run", metavar="RUN.toml", help=f"a run file, or a run that ships: {', '.join(shipped())}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", default=REAL, help="a size of the run file: its [size.NAME.SECTION] tables")
    size.add_argument("--smoke", dest="size", action="store_const", const=SMOKE, help="the same as --size smoke")
    parser.add_argument("--policy", help="another model: hub id, directory, GGUF file or package:NAME")
    parser.add_argument("--steps", type=int, help="optimizer steps (grpo.max_steps)")
    parser.add_argument("--out", help="the run's directory (output.dir)")
    parser.add_argument("--seed", type=int, help="grpo.seed")
    parser.add_argument("--reward-url", help="the reward server (services.reward_url)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="SECTION.KEY=VALUE",
        help="any other key, its value written as in TOML; may be repeated",
    )


def overrides(arguments: argparse.Namespace) -> list[tuple[Place, Any]]:
    """Return what the command line says instead of the file, as (place, value)."""
    named: list[tuple[Place, Any]] = [
        (("policy", "model"), arguments.policy),
        (("grpo", "max_steps"), arguments.steps),
        (("output", "dir"), arguments.out),
        (("grpo", "seed"), arguments.seed),
        (("services", "reward_url"), arguments.reward_url),
    ]
    return [*arguments.set, *((place, value) for place, value in named if value is not None)]


def _setting(text: str) -> tuple[Place, Any]:
    key, equals, value = text.partition("=")
    place = tuple(part.strip() for part in key.split("."))
    if not equals or len(place) < 2 or not all(place):
        raise argparse.ArgumentTypeError(f"{text!r} is not SECTION.KEY=VALUE, e.g. grpo.learning_rate=1e-5")
    try:
        return place, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return place, value  # text needs no quotes here: the shell has eaten them
