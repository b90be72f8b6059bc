"""`guerdon collect`: conversations of a model that asks and one that answers in persona, as prompts to train on."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from preference_elicitation import catalogue
from preference_elicitation.catalogue import Scenario
from preference_elicitation.elicitation_error import ElicitationError
from reward_server.rewards.models.text_file import TextFile, read_texts

PROMPTS, CARD, SETTINGS = "prompts.jsonl", "README.md", "settings.json"
INCOMPLETE = 3


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon collect",
        description="Let a model that asks and a model that answers in persona talk, and keep the conversation before "
        "every question as a prompt. No reward is computed. The same command again goes on where it was stopped.",
        epilog="A model is a directory, a hub id, package:NAME, or endpoint:URL#MODEL[,key_env=VARIABLE]. "
        f"Exit status: 0 all prompts are there; {INCOMPLETE} some conversations were given up, the same command tries "
        "them again; 2 it cannot be done as asked; 130 it was interrupted.",
    )
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the prompts are kept")
    options.add_argument("--personas", default="all", help="all, a number of them, or names with commas between them")
    options.add_argument("--scenarios", type=positive, default=10, help="of each persona (default 10)")
    options.add_argument("--max-depth", type=natural, default=3, help="questions of a conversation (default 3)")
    options.add_argument("--held-out", type=natural, default=4, metavar="N", help="personas for validation (default 4)")
    options.add_argument("--questioner", metavar="MODEL", help="who asks")
    options.add_argument("--questioner-revision", metavar="COMMIT", help="of a hub id")
    options.add_argument("--participant", metavar="MODEL", help="who answers as the persona")
    options.add_argument("--participant-revision", metavar="COMMIT", help="of a hub id")
    options.add_argument("--questioner-temperature", type=float, default=1.0)
    options.add_argument("--participant-temperature", type=float, default=0.0, help="0 is greedy (default)")
    options.add_argument("--max-tokens", type=positive, default=64, help="of a question or an answer (default 64)")
    options.add_argument(
        "--may-give-up",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the conversations, without that being a failure (default 0)",
    )
    options.add_argument("--persona-file", type=Path, help="other personas: TOML or JSON, id = text")
    options.add_argument("--scenario-file", type=Path, help="other scenarios: TOML, tables with persona and text")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--corpus",
        action="store_true",
        help="instead of conversations, write what the small models of the proof are trained on: world.jsonl, "
        "questioner.jsonl, items.json and personas.json in single words, and phrases.json for the world's tokenizer",
    )
    options.add_argument(
        "--check-world",
        metavar="MODEL",
        help="instead of conversations, say whether a small model trained on world.jsonl has learnt to label and to "
        "predict; writes world.json, and ends with status 1 where it has not",
    )
    options.add_argument("--world-rows", type=positive, default=60_000, help="of --corpus")
    options.add_argument("--questioner-rows", type=positive, default=6_000, help="of --corpus")
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.check_world:
            return check_world(options)
        return write_corpus(options) if options.corpus else collect(options)
    except (ElicitationError, OSError, ValueError) as error:
        print(f"guerdon collect: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["guerdon", "collect", *argv])
        print(f"\nguerdon collect: stopped; what there is lies in {options.out}. To go on: {again}", file=sys.stderr)
        return 130


def collect(options: argparse.Namespace) -> int:
    """Collect the prompts and write their card.

    Raises:
        ElicitationError: the settings are wrong, or those of an earlier run, or a model does not answer.
    """
    people = read_texts(str(options.persona_file or catalogue.PERSONAS))
    scenarios = wanted(catalogue.scenarios(options.scenario_file), people, options.personas, options.scenarios)
    if not options.questioner or not options.participant:
        raise ElicitationError("--questioner and --participant name the two models that talk; they may be the same")
    settled = _settled(options, people, scenarios)
    from preference_elicitation.collection import Collection, held_out  # the models' libraries, only once all is known
    from preference_elicitation.dataset_card import card
    from preference_elicitation.progress import Progress
    from preference_elicitation.prompt_file import PromptFile
    from preference_elicitation.speaker import Speaker

    names = list(dict.fromkeys(one.persona for one in scenarios))
    collection = Collection(
        scenarios,
        {name: people[name] for name in names},
        held_out(names, options.held_out, options.seed),
        options.max_depth,
        Speaker(options.questioner, options.questioner_revision, options.questioner_temperature, options.max_tokens),
        Speaker(options.participant, options.participant_revision, options.participant_temperature, options.max_tokens),
        options.seed,
    )
    file = PromptFile(options.out / PROMPTS)
    progress = Progress("collect", collection.prompts, len(file))
    given_up = collection.run(file, progress.advance)
    (options.out / CARD).write_text(card(file.rows(), settled, given_up), encoding="utf-8")
    print(f"{options.out / PROMPTS}: {len(file)} prompts of {len(names)} personas; {options.out / CARD} counts them")
    return INCOMPLETE if given_up > options.may_give_up * len(scenarios) else 0


def wanted(scenarios: Iterable[Scenario], people: TextFile, personas: str, each: int) -> list[Scenario]:
    """Return the scenarios to begin with, `each` first ones of every persona that is wanted.

    Raises:
        ElicitationError: there is no such persona, or it has fewer scenarios.
    """
    by_persona: dict[str, list[Scenario]] = {}
    for one in scenarios:
        by_persona.setdefault(one.persona, []).append(one)
    known = [name for name in people.texts if name in by_persona]
    if personas == "all":
        names = known
    elif personas.isdecimal():
        names = known[: int(personas)]
    else:
        names = [name.strip() for name in personas.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise ElicitationError(f"there is no persona {unknown[0]!r} with scenarios; there are: {', '.join(known)}")
    if personas.isdecimal() and int(personas) > len(known):
        raise ElicitationError(f"--personas {personas}: there are {len(known)}")
    if short := [name for name in names if len(by_persona[name]) < each]:
        raise ElicitationError(f"--scenarios {each}: {short[0]} has {len(by_persona[short[0]])}")
    return [one for name in names for one in by_persona[name][:each]]


def write_corpus(options: argparse.Namespace) -> int:
    """Write the corpora of the proof's models, and the items and personas that they can read."""
    from preference_elicitation import corpus, short_form

    texts: dict[str, Any] = {
        "items.json": {one.name: short_form.item(one) for one in catalogue.items()},
        "personas.json": {one.name: short_form.persona(one) for one in catalogue.personas()},
        "phrases.json": corpus.phrases(),
    }
    for name, content in texts.items():
        _write(options.out / name, [json.dumps(content, indent=1, ensure_ascii=False)])
    rows = {
        "world.jsonl": corpus.world(options.world_rows, options.seed),
        "questioner.jsonl": corpus.questioner(options.questioner_rows, options.seed),
    }
    for name, some in rows.items():
        _write(options.out / name, (json.dumps(row, ensure_ascii=False) for row in some))
    print(f"{options.out}: {', '.join([*texts, *rows])}")
    return 0


def check_world(options: argparse.Namespace) -> int:
    """Measure a small world; return 1 where no policy should be trained in it."""
    from preference_elicitation import world_check

    found = world_check.measured(options.check_world, options.seed)
    for name, one in found.items():
        print(f"{name:<18}accuracy {one['accuracy']:.3f}  log score {one['log_score']:+.4f}  {one['pairs']:.0f} pairs")
    problems = world_check.problems(found)
    for said in problems:
        print(f"guerdon collect: {options.check_world}: {said}", file=sys.stderr)
    if not problems:
        _write(options.out / "world.json", [json.dumps(found, indent=1)])
    return 1 if problems else 0


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return number


def natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("a whole number from 0 on")
    return number


def _settled(options: argparse.Namespace, people: TextFile, scenarios: Sequence[Scenario]) -> dict[str, Any]:
    """Return what the prompts depend on, kept beside them: prompts of two settings would be no dataset.

    Raises:
        ElicitationError: the folder holds prompts that were collected with others.
    """
    named: tuple[str, ...]
    named = ("personas", "scenarios", "max_depth", "held_out", "questioner", "questioner_revision", "participant")
    named += ("participant_revision", "questioner_temperature", "participant_temperature", "max_tokens", "seed")
    now = {name: getattr(options, name) for name in named} | {"persona_texts": people.digest}
    if options.held_out >= len({one.persona for one in scenarios}):
        raise ElicitationError(f"--held-out {options.held_out} leaves no persona to train on")
    place = options.out / SETTINGS
    before = json.loads(place.read_text(encoding="utf-8")) if place.exists() else now
    if differs := [name for name in now if before.get(name) != now[name]]:
        raise ElicitationError(
            f"{options.out} holds prompts collected with {differs[0]} = {before.get(differs[0])!r}, and now it is "
            f"{now[differs[0]]!r}; choose another --out"
        )
    _write(place, [json.dumps(now, indent=1, ensure_ascii=False)])
    return now


def _write(path: Path, lines: Iterable[str]) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    os.replace(part, path)
