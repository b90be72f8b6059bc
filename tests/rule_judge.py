"""A judge server on loopback that judges by rule."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_http import Asked, Told, served


@dataclass
class RuleJudge:
    """Longer answers are better, and an answer may name the status that it ends in.

    Attributes:
        asked: path and body of every request.
        reply: what is answered in place of the rule's answer: a status and a body.
        gate: whom an answer waits for.
    """

    url: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    reply: tuple[int, str] | None = None
    gate: threading.Barrier | None = None

    def told(self, asked: Asked) -> Told:
        body = json.loads(asked.body)
        self.asked.append((asked.path, body))
        self.tokens.append(asked.headers.get("authorization"))
        if self.gate is not None:
            self.gate.wait()
        return Told(*(self.reply or (200, json.dumps(self.answer(asked.path, body)))))

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        told = {"judge": body.get("judge") or "rule", "model": "rule", "prompt_version": "1"}
        if path == "/v1/grade":
            return told | {"grades": [self.grade(one["answer"], body) for one in body["answers"]]}
        return told | {"verdicts": [self.verdict(one["answer_a"], one["answer_b"]) for one in body["comparisons"]]}

    def grade(self, answer: str, body: dict[str, Any]) -> dict[str, Any]:
        if answer.startswith("judge_"):
            return {"status": answer.split()[0], "error": "as the answer says"}
        score = min(10.0, float(len(answer)))
        return {"score": score, "criteria": {one["name"]: score / 2 for one in body.get("criteria", [])}}

    def verdict(self, a: str, b: str) -> dict[str, Any]:
        for answer in (a, b):
            if answer.startswith("judge_"):
                return {"status": answer.split()[0], "error": "as the answer says"}
        return {"winner": "tie" if len(a) == len(b) else "a" if len(a) > len(b) else "b"}


@contextmanager
def judging() -> Iterator[RuleJudge]:
    judge = RuleJudge()
    with served(judge.told) as judge.url:
        yield judge
