"""README.md of a collected dataset: what it is, who made it, and counts of what is really in it."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def card(rows: Rows, made_by: Mapping[str, Any], given_up: int) -> str:
    """Return the card, in the form that model hubs read."""
    counts = counted(rows)
    by_depth = "\n".join(f"| {depth} | {number} |" for depth, number in counts["by_depth"].items())
    by_persona = "\n".join(f"| {name} | {number} |" for name, number in counts["by_persona"].items())
    settings = "\n".join(f"- {name}: `{value}`" for name, value in made_by.items())
    return f"""---
language: en
license: apache-2.0
configs:
- config_name: default
  data_files: prompts.jsonl
---
# Prompts for learning to elicit preferences

Conversations between a model that asks and a model that answers as a persona, each up to where the next question is
to be asked. There is no reward in them. A row: `prompt` (chat messages), `persona`, `transcript` and `pair_seed` (what
the reward `information_gain` needs), `scenario`, `depth` (questions asked after the opening), `split`.

{_told(counts, given_up)}

| depth | prompts |
| --- | --- |
{by_depth}

| persona | prompts |
| --- | --- |
{by_persona}

Made with:

{settings}
"""


def _told(counts: Mapping[str, Any], given_up: int) -> str:
    return f"""{counts["prompts"]} prompts: {counts["train"]} for training and {counts["validation"]} for validation.
Nobody is in both: they are split by persona. {counts["personas"]} personas, {counts["scenarios"]} scenarios.
{given_up} conversations had to be given up before their full depth. {counts["questions"]} questions were asked,
{counts["different_questions"]} different ones; {counts["repeated"]} were asked again in their own conversation.
A question has {_shown(counts["question_characters"])} characters in the mean, an answer
{_shown(counts["answer_characters"])}."""


def counted(rows: Rows) -> dict[str, Any]:
    """Return what there is; means of nothing are None."""
    deepest: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["depth"] >= deepest.get(row["scenario"], row)["depth"]:
            deepest[row["scenario"]] = row
    asked = [[turn["question"] for turn in row["transcript"][1:]] for row in deepest.values()]
    answers = [turn["answer"] for row in deepest.values() for turn in row["transcript"][1:]]
    questions = [question for one in asked for question in one]
    splits = Counter(row["split"] for row in rows)
    return {
        "prompts": len(rows),
        "train": splits["train"],
        "validation": splits["validation"],
        "personas": len({row["persona"] for row in rows}),
        "scenarios": len(deepest),
        "by_depth": dict(sorted(Counter(row["depth"] for row in rows).items())),
        "by_persona": dict(sorted(Counter(row["persona"] for row in rows).items())),
        "questions": len(questions),
        "different_questions": len(set(questions)),
        "repeated": sum(len(one) - len(set(one)) for one in asked),
        "question_characters": statistics.mean(map(len, questions)) if questions else None,
        "answer_characters": statistics.mean(map(len, answers)) if answers else None,
    }


def _shown(mean: float | None) -> str:
    return "–" if mean is None else f"{mean:.0f}"
