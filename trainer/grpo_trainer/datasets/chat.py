"""Chat prompts without references: from a file, or UltraChat by its hub name."""

import json
import random
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from long_work import json_file
from long_work.chat_turns import are_turns

Row = dict[str, Any]
ULTRACHAT = "HuggingFaceH4/ultrachat_200k"


def load(
    *,
    source: str = ULTRACHAT,
    split: str = "train_sft",
    rows: Annotated[int, Field(ge=1)] | None = None,
    most_characters: Annotated[int, Field(ge=1)] = 2000,
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.05,
    seed: int = 0,
) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) rows of one column, `prompt`: chat messages that end with the user's.

    Args:
        source: a JSONL file of rows with `prompt` (text, or chat messages) or `messages`; or a data set's hub name,
            whose rows are read the same way.
        split: of the hub's data set.
        rows: how many prompts, the seed's choice; all where omitted.
        most_characters: longer prompts are left out: their completions would be cut.
        validation_share: of the prompts; no prompt is on both sides.
        seed: of the choice and of the split.

    Raises:
        ValueError: a row has no prompt.
        CommandError: the file cannot be read, or a line of it is no JSON object.
        OSError: the hub cannot be reached.
    """
    file = Path(source).expanduser()
    found = _of_file(file) if file.suffix in {".jsonl", ".json"} else _of_hub(source, split)
    prompts = {json.dumps(turns, ensure_ascii=False): turns for turns in found}  # each once, in their order
    kept = [turns for turns in prompts.values() if sum(len(turn["content"]) for turn in turns) <= most_characters]
    random.Random(f"chat {seed}").shuffle(kept)
    chosen = [{"prompt": turns} for turns in kept[:rows]]
    held_out = round(validation_share * len(chosen))
    return chosen[held_out:], chosen[:held_out]


def prompt_of(row: Row, where: str) -> list[Row]:
    """Return a row's messages up to the first answer: what a policy answers itself.

    Raises:
        ValueError: it has none.
    """
    prompt = row.get("prompt")
    messages = row.get("messages") if not isinstance(prompt, list) else prompt
    if are_turns(messages):
        ends = [place for place, turn in enumerate(messages) if turn["role"] == "assistant"]
        turns = messages[: ends[0]] if ends else messages
        if turns and turns[-1]["role"] == "user":
            return [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    elif isinstance(prompt, str) and prompt.strip():
        return [{"role": "user", "content": prompt}]
    raise ValueError(f'{where} has no prompt: a row is {{"prompt": text or messages}} or {{"messages": [...]}}')


def _of_file(path: Path) -> list[list[Row]]:
    return [prompt_of(row, f"{place},") for place, row in json_file.placed_rows(path)]


def _of_hub(name: str, split: str) -> list[list[Row]]:
    from datasets import load_dataset

    return [
        prompt_of(dict(row), f"{name}, row {number},") for number, row in enumerate(load_dataset(name, split=split))
    ]
