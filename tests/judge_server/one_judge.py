"""Calls to one judge, as tests make them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from guerdon.judge_messages import Allowance
from judge_server.calls.calls import Calls
from judge_server.judges import Judge, Judges, Prices
from judge_server.llm import Call, CallFailed, Outcome, Reply
from judge_server.settings import Settings

PRICES = Prices(prompt=1000.0, completion=2000.0)


def judge(url: str, **settings: Any) -> Judge:
    """Return a judge that gives up soon, unless told otherwise."""
    defaults: dict[str, Any] = {
        "name": "j",
        "kind": "openai_compatible",
        "model": "m",
        "base_url": url,
        "prices": PRICES,
        "attempts": 1,
        "max_wait_s": 5.0,
    }
    return Judge(**(defaults | settings))


def question(words: str = "which?", **settings: Any) -> Call:
    return Call(turns=(("system", "You judge."), ("user", words)), **({"max_tokens": 20} | settings))


def text(reply: Reply) -> str:
    """Read a reply: any that is no refusal, has words, and is complete."""
    if reply.refusal:
        raise CallFailed("judge_refused", "refused")
    if not reply.text:
        raise CallFailed("judge_empty", "empty")
    return reply.text


class Opened:
    """Calls that are open, and the judge they ask."""

    def __init__(self, calls: Calls, one: Judge) -> None:
        self.calls, self.judge = calls, one

    async def ask(self, call: Call, **request: Any) -> Outcome[str]:
        return (await self.ask_all([call], **request))[0]

    async def ask_all(
        self, several: Sequence[Call], run: str | None = "r", allowance: Allowance | None = None, within_s: float = 60
    ) -> list[Outcome[str]]:
        deadline = time.monotonic() + within_s
        asker = self.calls.asker(self.judge, run=run, allowance=allowance, prompt_version="1", deadline=deadline)
        return await asyncio.gather(*(asker.ask(call, text) for call in several))


@asynccontextmanager
async def opened(one: Judge, folder: Path, **settings: Any) -> AsyncIterator[Opened]:
    judges = Judges({one.name: one}, None, "the test")
    calls = await Calls.open(judges, Settings(**({"ledger": str(folder / "ledger.sqlite3")} | settings)))
    try:
        yield Opened(calls, one)
    finally:
        await calls.close()
