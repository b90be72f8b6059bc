"""The small models of a proof: what they are trained on, and whether the world has learnt its part."""

import argparse
import sys
from typing import Any

from long_work import json_file
from preference_elicitation import catalogue, corpus, short_form


def write_corpus(options: argparse.Namespace) -> int:
    """Write the corpora of the proof's models, and the items and personas that they can read; return 0.

    Raises:
        CommandError: they cannot be written.
    """
    texts: dict[str, Any] = {
        "items.json": {one.name: short_form.item(one) for one in catalogue.items()},
        "personas.json": {one.name: short_form.persona(one) for one in catalogue.personas()},
        "phrases.json": corpus.phrases(),
    }
    for name, content in texts.items():
        json_file.write(options.out / name, content)
    rows = {
        "world.jsonl": corpus.world(options.world_rows, options.seed),
        "questioner.jsonl": corpus.questioner(options.questioner_rows, options.seed),
    }
    for name, some in rows.items():
        json_file.write_rows(options.out / name, some)
    print(f"{options.out}: {', '.join([*texts, *rows])}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Measure a small world; return 1 where no policy should be trained in it.

    Raises:
        CommandError: there is no such model, or the result cannot be written.
    """
    from preference_elicitation import world_check  # the models' libraries

    found = world_check.measured(options.check_world, options.seed)
    for name, one in found.items():
        print(f"{name:<18}accuracy {one['accuracy']:.3f}  log score {one['log_score']:+.4f}  {one['pairs']:.0f} pairs")
    problems = world_check.problems(found)
    for said in problems:
        print(f"guerdon collect: {options.check_world}: {said}", file=sys.stderr)
    if not problems:
        json_file.write(options.out / "world.json", found)
    return 1 if problems else 0
