"""ReDial's own JSONL: a dialogue a line, in which every message of the recommender is a reply to label.

Li et al. 2018, "Towards Deep Conversational Recommendations". A line has `conversationId`, `initiatorWorkerId` (who
seeks), `respondentWorkerId` (who recommends), `messages` with `senderWorkerId` and `text`, and `movieMentions`, which
says what the @12345 of the texts are called. Not tried on the dataset itself, which is not here; the format is as its
authors describe it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from critic_trainer.critic_error import CriticError
from critic_trainer.reply import Reply
from long_work.json_file import Row, placed_rows

MENTION = re.compile(r"@(\d+)")


def is_redial(row: Row) -> bool:
    return "messages" in row and "respondentWorkerId" in row


def read(path: Path) -> list[Reply]:
    """Return every message of a recommender that answers something.

    Raises:
        CommandError: the file cannot be read, or a line lacks what ReDial's lines have.
    """
    return [reply for place, row in placed_rows(path) for reply in _replies(row, place)]


def _replies(row: Row, place: str) -> Iterator[Reply]:
    try:
        yield from _read(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise CriticError(f"{place} is no dialogue of ReDial: {type(error).__name__} {error}") from None


def _read(row: Row) -> Iterator[Reply]:
    films = row["movieMentions"] or {}  # a list, and empty, where nothing was mentioned
    recommender, name = row["respondentWorkerId"], str(row["conversationId"])
    conversation: list[dict[str, Any]] = []
    for message in row["messages"]:
        text = MENTION.sub(lambda found: str(films[found[1]]) if found[1] in films else found[0], message["text"])
        role = "assistant" if message["senderWorkerId"] == recommender else "user"
        if conversation and conversation[-1]["role"] == role:
            conversation[-1]["content"] += f"\n{text}"
        else:
            conversation.append({"role": role, "content": text})
    for place, turn in enumerate(conversation):
        if turn["role"] == "assistant" and place:
            before = conversation[:place]
            yield Reply(id=f"{name}-{place}", dialogue=name, conversation=before, reply=turn["content"])
