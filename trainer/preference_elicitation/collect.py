"""`guerdon collect`: conversations of a model that asks and one that answers in persona, as prompts to train on."""

import argparse
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from long_work import claim, content_digest, exit_status, quiet, written_whole
from long_work.exit_status import INCOMPLETE
from long_work.progress import Progress
from long_work.real_number import from_zero, share
from long_work.whole_number import natural, positive
from preference_elicitation import catalogue, scenario_choice
from preference_elicitation.catalogue import Scenario
from preference_elicitation.elicitation_error import ElicitationError
from preference_elicitation.prompt_file import PromptFile
from reward_server.rewards.models.text_file import TextFile

PROMPTS, CARD, SETTINGS = "prompts.jsonl", "README.md", "settings.json"
NAMED: tuple[str, ...] = (
    *("personas", "scenarios", "max_depth", "held_out", "questioner", "questioner_revision", "participant"),
    *("participant_revision", "questioner_temperature", "participant_temperature", "max_tokens", "seed"),
)
"""Of the command line: what the prompts depend on, beside the weights of the models and the texts."""


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
    options.add_argument("--seed", type=int, default=0)
    _conversations(options)
    _models(options)
    _small_world(options)
    return options


def _conversations(command: argparse.ArgumentParser) -> None:
    options = command.add_argument_group("what is collected")
    options.add_argument("--personas", default="all", help="all, a number of them, or names with commas between them")
    options.add_argument("--scenarios", type=positive, default=10, help="of each persona (default 10)")
    options.add_argument("--max-depth", type=natural, default=3, help="questions of a conversation (default 3)")
    options.add_argument("--held-out", type=natural, default=4, metavar="N", help="personas for validation (default 4)")
    options.add_argument("--persona-file", type=Path, help="other personas: TOML or JSON, id = text")
    options.add_argument("--scenario-file", type=Path, help="other scenarios: TOML, tables with persona and text")
    options.add_argument(
        "--may-give-up",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="of the conversations, without that being a failure (default 0)",
    )


def _models(command: argparse.ArgumentParser) -> None:
    options = command.add_argument_group("who talks")
    options.add_argument("--questioner", metavar="MODEL", help="who asks")
    options.add_argument("--questioner-revision", metavar="COMMIT", help="of a hub id")
    options.add_argument("--participant", metavar="MODEL", help="who answers as the persona")
    options.add_argument("--participant-revision", metavar="COMMIT", help="of a hub id")
    options.add_argument("--questioner-temperature", type=from_zero, default=1.0)
    options.add_argument("--participant-temperature", type=from_zero, default=0.0, help="0 is greedy (default)")
    options.add_argument("--max-tokens", type=positive, default=64, help="of a question or an answer (default 64)")


def _small_world(command: argparse.ArgumentParser) -> None:
    options = command.add_argument_group("instead of conversations")
    options.add_argument(
        "--corpus",
        action="store_true",
        help="write what the small models of the proof are trained on: world.jsonl, questioner.jsonl, items.json and "
        "personas.json in single words, and phrases.json for the world's tokenizer",
    )
    options.add_argument(
        "--check-world",
        metavar="MODEL",
        help="say whether a small model trained on world.jsonl has learnt to label and to predict; writes world.json, "
        "and ends with status 1 where it has not",
    )
    options.add_argument("--world-rows", type=positive, default=60_000, help="of --corpus")
    options.add_argument("--questioner-rows", type=positive, default=6_000, help="of --corpus")


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    quiet.before_imports()
    from preference_elicitation import small_world

    run = small_world.check if options.check_world else small_world.write_corpus if options.corpus else collect
    stopped = f"what there is lies in {options.out}. To go on: {shlex.join(['guerdon', 'collect', *argv])}"
    return exit_status.of("guerdon collect", partial(run, options), "trainer", stopped)


def collect(options: argparse.Namespace) -> int:
    """Collect the prompts and write their card.

    Raises:
        CommandError: the settings are wrong, or those of an earlier run, or a model does not answer.
    """
    people = scenario_choice.people(options.persona_file)
    begun = catalogue.scenarios(options.scenario_file)
    scenarios = scenario_choice.wanted(begun, people, options.personas, options.scenarios)
    settings = _settings(options, people, scenarios)
    file = PromptFile(options.out / PROMPTS)
    claim.stake(file.path, settings, options.out / SETTINGS)
    from preference_elicitation.collection import Collection, held_out  # the models' libraries, only once all is known
    from preference_elicitation.dataset_card import card
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
    if len(file) < collection.prompts:  # before the first row: it would bind the folder to models that are none
        collection.questioner.try_out()
        collection.participant.try_out()
    with Progress("collect", collection.prompts, len(file)) as progress:
        given_up = collection.run(file, progress.advance)
    written_whole.text(options.out / CARD, card(file.rows(), settings, given_up))
    print(f"{options.out / PROMPTS}: {len(file)} prompts of {len(names)} personas; {options.out / CARD} counts them")
    return INCOMPLETE if given_up > options.may_give_up * len(scenarios) else 0


def _settings(options: argparse.Namespace, people: TextFile, scenarios: Sequence[Scenario]) -> dict[str, Any]:
    """Return what the prompts depend on, kept beside them: prompts of two settings would be no dataset.

    Raises:
        CommandError: nobody is named who talks, nobody is left to train on, or a model cannot be read.
    """
    from preference_elicitation.manifest import weights

    if not options.questioner or not options.participant:
        raise ElicitationError("--questioner and --participant name the two models that talk; they may be the same")
    if options.held_out >= len({one.persona for one in scenarios}):
        raise ElicitationError(f"--held-out {options.held_out} leaves no persona to train on")
    made_by = {name: getattr(options, name) for name in NAMED}
    made_by["questioner_weights"] = weights(options.questioner, options.questioner_revision)
    made_by["participant_weights"] = weights(options.participant, options.participant_revision)
    begun = content_digest.of(options.scenario_file or catalogue.SCENARIOS)
    return made_by | {"persona_texts": people.digest, "scenario_texts": begun}
