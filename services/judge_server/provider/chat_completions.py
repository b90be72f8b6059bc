"""Speak the chat-completions protocol: a call becomes a request body, and the answer's bytes a reply."""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from judge_server.judges import Judge
from judge_server.llm import Call, CallFailed, Reply
from judge_server.provider.chat_answer import read_answer
from judge_server.provider.clients import Clients
from judge_server.provider.provider_errors import Place, explained, refused_field

log = logging.getLogger("guerdon.judge")

CONNECT_S = 10.0
"""An address where nothing answers is known by then, whatever the timeout of the call."""
DISPENSABLE: Mapping[str, tuple[str, ...]] = {
    "response_format": ("response_format", "json_schema", "json schema", "structured output", "guided", "grammar"),
    "logprobs": ("logprobs",),
    "seed": ("seed",),
}
"""Fields that a server may refuse and do without, and the words by which its refusal shows."""
SAMPLING: Mapping[str, tuple[str, ...]] = {"temperature": ("temperature",), "top_p": ("top_p",)}
"""Fields that are never left out unasked: a judge with another temperature is another judge."""


def is_local(url: str | None) -> bool:
    host = urlsplit(url or "").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ChatCompletions:
    """A Backend over one model of one server.

    Args:
        clients: of the provider's own package, without retries.
        limit: what the server calls the limit on the completion.
        ask_logprobs: how so many alternatives of each token are asked for.
        implied: what the server takes where nothing is sent; such values are not sent, for some of its models refuse
            the field itself.

    Attributes:
        without: the fields that this server turned out not to know.
    """

    def __init__(
        self,
        judge: Judge,
        url: str,
        clients: Clients,
        limit: str = "max_tokens",
        ask_logprobs: Callable[[int], dict[str, Any]] = lambda top: {"logprobs": True, "top_logprobs": top},
        implied: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._judge, self._clients = judge, clients
        self._limit, self._ask_logprobs, self._implied = limit, ask_logprobs, implied
        self._place = Place(judge.name, url, judge.model, judge.key_env, judge.key)
        self.without: frozenset[str] = frozenset()

    async def ask(self, call: Call, timeout_s: float) -> Reply:
        """Send a call; a field without which the server answers is left out from now on."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):  # of the whole answer, not of each of its bytes
                return await self._answered(call)
        except TimeoutError:
            waited = time.monotonic() - began
            why = f"{self._place.name}: no answer within {waited:.3g} s"
            raise CallFailed("judge_timeout", why, retriable=True, sent=True) from None

    async def close(self) -> None:
        await self._clients.close()

    async def _answered(self, call: Call) -> Reply:
        without = self.without
        while True:
            body = self._body(call, without)
            try:
                content = await self._clients.create(**body)
            except Exception as error:  # the boundary to somebody else's package
                field = refused_field(error, {name: words for name, words in DISPENSABLE.items() if name in body})
                if field is None:
                    raise self._explained(error, body, call) from error
                without |= {field}
            else:
                reply = read_answer(content, self._place, call)
                self._do(without)
                return reply

    def _do(self, without: frozenset[str]) -> None:
        for field in sorted(without - self.without):
            log.warning("%s refuses `%s` and answers without; it is asked without from now on", self._judge.name, field)
        self.without |= without

    def _explained(self, error: Exception, body: Mapping[str, Any], call: Call) -> CallFailed:
        failure = explained(error, self._place, call)
        field = refused_field(error, {name: words for name, words in SAMPLING.items() if name in body})
        if field is None:
            return failure
        advice = f'set {field} = 1 for {self._judge.name} (with kind = "openai" it is then not sent at all)'
        return CallFailed(failure.status, f"{failure.reason}; it refuses `{field}` = {body[field]:g}: {advice}")

    def _body(self, call: Call, without: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._judge.model,
            "messages": [{"role": role, "content": content} for role, content in call.turns],
            self._limit: call.max_tokens,
            "temperature": call.temperature,
            "top_p": call.top_p,
        }
        if call.seed is not None:
            body["seed"] = call.seed + call.sample
        if call.schema is not None:
            schema = {"name": "verdict", "schema": call.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if call.top_logprobs and "logprobs" not in without:
            body |= self._ask_logprobs(call.top_logprobs)
        implied = {name for name, value in self._implied.items() if body[name] == value}
        return {name: value for name, value in body.items() if name not in without | implied}
