"""A judge of the judge server as a labeler: /v1/grade on the attributes, 0 to 10 divided by 10."""

import os
from collections.abc import Sequence
from typing import Any

from critic_trainer.critic_error import CriticError
from critic_trainer.labeling.attributes import ATTRIBUTES
from critic_trainer.reply import Reply
from guerdon.client import ServerError
from guerdon.judge_client import JudgeClient
from guerdon.judge_messages import Criterion, Grade, GradedAnswer, GradeRequest, JudgeInfo

TOKEN = "GUERDON_JUDGE_TOKEN"  # noqa: S105 - the name of a variable
PATIENCE_S = 20.0
DEADLINE_S = 1800.0
BEST = 10.0


class JudgeLabeler:
    """Raises CriticError where there is no such judge, or the server refuses or is gone."""

    def __init__(self, url: str, judge: str | None) -> None:
        self._client = JudgeClient(url, os.environ.get(TOKEN) or None, patience_s=PATIENCE_S)
        self._info = self._found(url, judge)
        self.name = f"judge-{self._info.name}"
        self.chunk = max(1, self._info.concurrency)

    @property
    def identity(self) -> list[Any]:
        info = self._info
        return [info.name, info.model, info.version, info.prompt_version, ATTRIBUTES]

    def label(self, replies: Sequence[Reply]) -> list[dict[str, Any]]:
        request = GradeRequest(
            answers=[_answer(reply) for reply in replies],
            judge=self._info.name,
            criteria=[Criterion(name=name, description=text) for name, text in ATTRIBUTES.items()],
            deadline_s=DEADLINE_S,
        )
        try:
            return [_record(grade) for grade in self._client.grade(request).grades]
        except ServerError as error:
            raise CriticError(f"the judge server: {error}") from None

    def _found(self, url: str, name: str | None) -> JudgeInfo:
        try:
            judges = self._client.judges()
        except ServerError as error:
            raise CriticError(f"no judge server at {url}: {error}; start one, and name it with --judge-url") from None
        info = next((one for one in judges if (one.name == name if name else one.default)), None)
        if info is None:
            raise CriticError(f"{url} has no judge {name!r}; it has: {', '.join(one.name for one in judges)}")
        if not info.available:
            raise CriticError(f"the judge {info.name!r} cannot be asked: {info.problem}")
        return info


def _answer(reply: Reply) -> GradedAnswer:
    return GradedAnswer.model_validate({"prompt": reply.conversation, "answer": reply.reply})


def _record(grade: Grade) -> dict[str, Any]:
    if grade.score is None:
        return {"status": grade.status, "labels": {}, "error": grade.error}
    return {"status": "ok", "labels": {name: value / BEST for name, value in grade.criteria.items()}}
