"""The chat messages of one call: the prompt files, filled with material that can neither end its fence nor speak."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from string import Template
from typing import Any

from guerdon.judge_messages import Criterion
from guerdon.messages import ChatMessage, Text
from judge_server.judges import Judge
from judge_server.judgment.material import turn_fields
from judge_server.judgment.schemas import compare_schema, grade_schema
from judge_server.llm import Turns

Sections = Iterable[tuple[str, Any]]
"""What is shown: pairs of a title and a JSON value; those without a value are left out."""

_UNSEEN = "\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
_UNSAFE = re.compile(
    f"[{_UNSEEN}\ud800-\udfff]"  # invisible, line-breaking, direction-changing; halves of a character have no UTF-8
    r"|<(?=[^\s\d=])"  # servers read <|im_start|>, <end_of_turn>, </s> … in a message as the control tokens they are
    r"|\[(?=/?[A-Z_]{3,}\])"  # and [INST]
)
_EMPTY = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0"  # fillers: words in some scripts need them
_VISIBLE = re.compile(rf"[^\s{_UNSEEN}{_EMPTY}]")


def encoded(value: Any) -> str:
    """Return a value as one line of readable JSON in which no control token, fence or invisible character stands."""
    return _UNSAFE.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def is_blank(text: str) -> bool:
    """Whether there is nothing to see in a text: white space and invisible characters at most."""
    return _VISIBLE.search(text) is None


def compare_turns(prompt: Text, shown: Sequence[str], reference: str | None, criteria: str | None) -> Turns:
    """Return the messages that ask which of two answers, in the order they are shown, is better.

    Raises:
        CallFailed: the prompt cannot be shown (invalid_input).
    """
    answer_a, answer_b = shown
    sections = [
        ("CRITERIA", criteria),
        ("PROMPT", _plain(prompt)),
        ("REFERENCE", reference),
        ("ANSWER A", answer_a),
        ("ANSWER B", answer_b),
    ]
    return _turns("compare", sections)


def grade_turns(prompt: Text, answer: str, reference: str | None, criteria: Sequence[Criterion]) -> Turns:
    """Return the messages that ask for a score of an answer by each criterion.

    Raises:
        CallFailed: the prompt cannot be shown (invalid_input).
    """
    sections = [
        ("CRITERIA", [{"name": criterion.name, "description": criterion.description} for criterion in criteria]),
        ("PROMPT", _plain(prompt)),
        ("REFERENCE", reference),
        ("ANSWER", answer),
    ]
    return _turns("grade", sections, form=", ".join(f'"{criterion.name}": 0 to 10' for criterion in criteria))


def _plain(prompt: Text) -> Any:
    return prompt if isinstance(prompt, str) else [turn_fields(turn) for turn in prompt]


def _turns(kind: str, sections: Sections, **fields: str) -> Turns:
    """Fill the prompt files of a kind; one pass, so that placeholders in what is shown stay what they are.

    The system message is the same for every call: a server that keeps prefixes computes it once. The fence's id is a
    digest of all that is shown: nobody can write a text that contains the digest of itself and of what it is shown
    with, and yet the same question has the same words each time, so that the ledger knows it again.
    """
    shown = [(title, encoded(value)) for title, value in sections if value is not None]
    fence = blake2b(repr(shown).encode(), digest_size=8).hexdigest()
    blocks = (f"----- BEGIN {title} {fence} -----\n{text}\n----- END {title} {fence} -----" for title, text in shown)
    user = Template(_text(f"{kind}_user")).substitute(fields, fence=fence, sections="\n\n".join(blocks))
    return (("system", _text(f"{kind}_system")), ("user", user))


@cache
def _text(name: str) -> str:
    return (files("judge_server") / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def prompt_version() -> str:
    """Return a digest of all that decides how a question is put: prompt files, schemas, encoding.

    It is taken of examples in which each of them shows, so that no change of it can be forgotten.
    """
    prompt = [ChatMessage(role="user", content="<|x|> [INST] $fence \u202e é")]
    criterion = Criterion(name="quality", description="Quality.")
    judges = [
        Judge(name="x", kind="openai", model="x"),
        Judge(name="x", kind="openai_compatible", base_url="http://x/v1"),
    ]
    examples = [
        compare_turns(prompt, ("a", "b"), "reference", "criteria"),
        grade_turns(prompt, "a", "reference", [criterion]),
        *(compare_schema(judge) for judge in judges),
        *(grade_schema(judge, [criterion.name]) for judge in judges),
    ]
    return blake2b(json.dumps(examples).encode(), digest_size=6).hexdigest()
