"""What a judge is shown, and the verdicts that stand in it: whoever quotes them has not judged."""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from guerdon.messages import ChatMessage, Text
from judge_server.judgment.json_objects import Found, objects
from judge_server.judgment.verdict_values import Said, said
from judge_server.llm import CallFailed

DEEPEST = 100
"""Levels of lists and objects in a field of a chat turn; schemas of tools have ten."""

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_DOUBLE_QUOTES = str.maketrans(dict.fromkeys("'‘’“”", '"'))


class Material:
    """The texts of one judgment.

    Args:
        texts: all that the judge is shown.
        keys: those of a verdict.
    """

    def __init__(self, texts: Sequence[str], keys: Sequence[str]) -> None:
        self._texts, self.keys = texts, tuple(keys)

    def holds(self, found: Found) -> bool:
        """Whether the texts hold what an object says by the keys of a verdict.

        Those alone count: whoever quotes leaves out an explanation, adds a note or puts a number in quotation marks.
        A judge that by chance decides as an answer demands it is then not heard either, unless its verdict is all of
        its reply: no verdict is a loss, somebody else's is a lie.
        """
        what = said(found, self.keys)
        return bool(what) and what in self._said

    @cached_property
    def _said(self) -> frozenset[Said]:
        """What the objects in the texts say, read once, and only when a reply is not all verdict."""
        spellings = {spelling for text in self._texts if self._may_hold(text) for spelling in _spellings(text)}
        return frozenset(said(found, self.keys) for spelling in spellings for found in objects(spelling))

    def _may_hold(self, text: str) -> bool:
        return any(key in text for key in self.keys) or "\\" in text or "&" in text  # escapes can hide a key


def prompt_texts(prompt: Text) -> list[str]:
    """Return what a prompt shows, turn by turn: the content as it is, and all else (role, tool calls, …) as JSON.

    Raises:
        CallFailed: a turn is nested too deeply.
    """
    if isinstance(prompt, str):
        return [prompt]
    texts: list[str] = []
    for turn in prompt:
        beside = turn_fields(turn)
        texts += [beside.pop("content", ""), json.dumps(beside, ensure_ascii=False)]
    return texts


def turn_fields(turn: ChatMessage) -> dict[str, Any]:
    """Return what is shown of a chat turn: every field that has a value.

    Raises:
        CallFailed: one nests too deeply for JSON's encoder, which would fail wherever the stack happens to end.
    """
    fields = {"role": turn.role, "content": turn.content, **(turn.model_extra or {})}
    level: list[Any] = list(fields.values())
    for _ in range(DEEPEST + 1):
        level = [one for value in level for one in _inside(value)]
    if level:
        raise CallFailed("invalid_input", f"a chat turn of the prompt nests its fields more than {DEEPEST} levels deep")
    return {name: value for name, value in fields.items() if value is not None}


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _spellings(text: str) -> set[str]:
    """Return a text as a judge may write it when it quotes: as it is, without escapes, with double quotes."""
    plain = unicodedata.normalize("NFKC", html.unescape(text))  # full-width braces and quotes become ordinary ones
    once = _unescaped(plain)  # a JSON text within a string
    twice = _unescaped(once)  # … within a string of a JSON text within a string
    return {text, plain, once, twice, plain.translate(_DOUBLE_QUOTES), once.translate(_DOUBLE_QUOTES)}


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    if code := match[1] or match[2]:
        return chr(int(code, 16))
    return " " if match[3] in "nrt" else match[3]
