"""The judge of an evaluation: found, and asked what it has cost."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from guerdon.client import Refused, ServerError, Unreachable
from guerdon.judge_client import AsyncJudgeClient
from guerdon.judge_messages import Allowance, Budget, JudgeInfo
from model_evaluation.evaluation_error import EvaluationError

PATIENCE_S = 20.0
"""A judge server that cannot be reached for so long is given up."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Judge:
    """One judge of one judge server, on behalf of one run.

    Attributes:
        run: names what is paid for this evaluation in the server's books; the same for the same evaluation.
        allowance: what the evaluation may spend in all, over all its runs.
    """

    url: str
    token: str | None
    info: JudgeInfo
    run: str
    allowance: Allowance | None = None

    def client(self) -> AsyncJudgeClient:
        return AsyncJudgeClient(self.url, self.token, patience_s=PATIENCE_S)

    @property
    def identity(self) -> list[str]:
        """What a verdict depends on beside the question."""
        return [self.info.name, self.info.model, self.info.version, self.info.prompt_version]


def found(url: str, token: str | None, name: str | None) -> JudgeInfo:
    """Return the judge of this name, or the server's default, once it is known that it can be asked.

    Raises:
        EvaluationError: the server cannot be reached, has no such judge, or the judge lacks something.
    """

    async def ask() -> list[JudgeInfo]:
        async with AsyncJudgeClient(url, token, patience_s=PATIENCE_S) as client:
            return await client.judges()

    judges = asked(url, ask())
    known = ", ".join(judge.name for judge in judges)
    info = next((judge for judge in judges if (judge.name == name if name else judge.default)), None)
    if info is None:
        raise EvaluationError(f"{url} has no judge {name!r}; it has: {known}")
    if not info.available:
        others = ", ".join(judge.name for judge in judges if judge.available) or "none"
        raise EvaluationError(f"the judge {info.name!r} cannot be asked: {info.problem}. Judges that can: {others}")
    return info


def budget(judge: Judge) -> Budget | None:
    """Return what the server's books say that this evaluation has cost; None where it keeps none for it."""

    async def ask() -> list[Budget]:
        async with judge.client() as client:
            return await client.budget(judge.run)

    return next((one for one in asked(judge.url, ask()) if one.judge == judge.info.name), None)


def asked(url: str, asking: Coroutine[Any, Any, Answer]) -> Answer:
    """Return what a judge server says.

    Raises:
        EvaluationError: it cannot be reached, fails or refuses; the message says which, and what would work.
    """
    try:
        return asyncio.run(asking)
    except Unreachable as error:
        if not isinstance(error.__context__, httpx.TransportError):  # answers came to the end, such as 500
            raise EvaluationError(f"the judge server fails: {error}; its own log says why") from None
        raise EvaluationError(
            f"no judge server answers: {error}. Name a running one with --judge-url, or leave it out to have one "
            "started for the command"
        ) from None
    except Refused as error:
        hint = " (the token is that of the environment variable GUERDON_JUDGE_TOKEN)"
        raise EvaluationError(f"{error}{hint if error.status_code in {401, 403} else ''}") from None
    except (ServerError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise EvaluationError(f"{url} is no judge server: {error}") from None
