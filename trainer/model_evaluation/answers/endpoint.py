"""A model behind an OpenAI-compatible endpoint that answers prompts, many at a time."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx

from guerdon.client import beyond_loopback
from guerdon.messages import Status
from guerdon.retries import RETRIED, retry_after_s
from model_evaluation.answers.completion import Completion, encodable
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling, cut
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt

ATTEMPTS = 5
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 600.0
CONNECT_S = 10.0


class Endpoint:
    """The endpoint of one contestant; use it within one event loop, as an async context manager."""

    def __init__(self, contestant: Contestant, concurrency: int = 8) -> None:
        key = os.environ.get(contestant.key_env) if contestant.key_env else None
        self._name, self._model, self._url = contestant.name, contestant.model, contestant.source
        self._http = httpx.AsyncClient(
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S),
            trust_env=beyond_loopback(contestant.source),
        )
        self._free = asyncio.Semaphore(concurrency)
        self._limit = "max_tokens"

    async def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> AsyncIterator[Completion]:
        """Yield each prompt's completion as it comes; a call that fails in the end is a failed completion.

        Raises:
            EvaluationError: the endpoint cannot be reached, or refuses key or model: no prompt would fare better.
        """
        tasks = [asyncio.ensure_future(self._answer(prompt, sampling)) for prompt in prompts]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, prompt: Prompt, sampling: Sampling) -> Completion:
        async with self._free:
            for attempt in range(ATTEMPTS):
                last = attempt + 1 == ATTEMPTS
                try:
                    path, body = self._asked(prompt, sampling)
                    response = await self._http.post(f"{self._url}{path}", json=body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    why = str(error) or f"no connection in {CONNECT_S:g} s"
                    raise EvaluationError(f"{self._name}: nothing answers at {self._url} ({why})") from None
                except httpx.TimeoutException:
                    if last:
                        return Completion.failed(prompt.id, "timeout", f"no answer in {TIMEOUT_S:g} s")
                    continue
                except httpx.TransportError as error:
                    if last:
                        return Completion.failed(prompt.id, "model_error", f"{type(error).__name__}: {error}")
                    await asyncio.sleep(_pause(attempt))
                    continue
                if response.is_success:
                    return _read(prompt, response, sampling)
                if response.status_code == 400 and "max_completion_tokens" in response.text and "max_tokens" in body:
                    self._limit = "max_completion_tokens"  # what newer models of OpenAI call it
                    continue
                wait = max(retry_after_s(response), _pause(attempt))
                if response.status_code not in RETRIED or last or wait > LONGEST_WAIT_S:
                    return self._refused(prompt, response)
                await asyncio.sleep(wait)
        return Completion.failed(prompt.id, "model_error", f"no answer in {ATTEMPTS} attempts")

    def _asked(self, prompt: Prompt, sampling: Sampling) -> tuple[str, dict[str, Any]]:
        chat = sampling.prompt_format == "chat"
        settings: dict[str, Any] = {
            "model": self._model,
            self._limit if chat else "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        settings |= {"stop": list(sampling.stop)} if sampling.stop else {}
        if chat:
            return "/chat/completions", {**settings, "messages": prompt.messages}
        return "/completions", {**settings, "prompt": prompt.shown}

    def _refused(self, prompt: Prompt, response: httpx.Response) -> Completion:
        said = f"{self._url} answered {response.status_code}"
        if response.status_code in {401, 403, 404}:
            hint = "name the variable that holds its key: endpoint:URL#MODEL,key_env=VARIABLE"
            raise EvaluationError(
                f"{self._name}: {said} for model {self._model!r}: "
                f"{hint if response.status_code != 404 else 'it has no such model, or the URL lacks /v1'}"
            )
        status: Status = "overloaded" if response.status_code in {429, 503} else "model_error"
        return Completion.failed(prompt.id, status, said)

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


def _read(prompt: Prompt, response: httpx.Response, sampling: Sampling) -> Completion:
    try:
        answer = response.json()
        choice = answer["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        tokens = (answer.get("usage") or {}).get("completion_tokens")
    except (ValueError, KeyError, IndexError, TypeError):
        return Completion.failed(prompt.id, "model_error", "the answer is no chat completion")
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        return Completion.failed(prompt.id, "model_error", "the endpoint's content filter withheld the answer")
    if text is None:
        # Not an empty answer, which would lose: a refusal, a tool call, or thoughts that took all tokens.
        ended = f"; finish_reason: {str(finish)[:40]}" if finish else ""
        return Completion.failed(prompt.id, "model_error", f"the answer's content is null{ended}")
    if not isinstance(text, str):
        return Completion.failed(prompt.id, "model_error", "the answer's content is no text")
    return Completion(
        prompt.id,
        encodable(cut(text, sampling.stop)[0].strip()),
        finish=finish if finish in ("stop", "length") else None,
        tokens=tokens if isinstance(tokens, int) else None,
    )


def _pause(attempt: int) -> float:
    return float(min(10.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.5))
