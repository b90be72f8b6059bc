"""Read the answer of a chat-completions server: OpenAI's form, and the variations of others."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from judge_server.judgment.utf8 import encodable
from judge_server.llm import Call, CallFailed, Reply, TokenLogprob
from judge_server.provider.provider_errors import Place, refusal_in_body

NEVER = -math.inf
MOST_TOKENS = 2**31 - 1
"""More than databases keep and any model takes: whoever reports more does not count."""


def read_answer(content: bytes, place: Place, call: Call) -> Reply:
    """Return the first choice of an answer that came with status 200.

    Raises:
        CallFailed: it is cut off, or no chat completion.
    """
    try:
        answer = _loads(content)
        if isinstance(answer, dict) and answer.get("error") and not answer.get("choices"):
            raise refusal_in_body(answer["error"], place, call)  # gateways send errors of the model behind them so
        return _reply(answer)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        no_json = isinstance(error, ValueError | RecursionError)
        what = "is cut off or no JSON" if no_json else "is no chat completion"
        why = f"{place.name}: the answer of {place.url} {what} ({len(content)} bytes)"
        raise CallFailed("judge_transport", why, retriable=True, sent=True) from None


def _loads(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        return json.loads(content)  # takes the NaN and Infinity that some servers write for log-probabilities


def _reply(answer: dict[str, Any]) -> Reply:
    choice = answer["choices"][0]
    message = choice["message"]
    usage = answer.get("usage") or {}
    return Reply(
        text=_text(message.get("content")),
        finish=_words(choice.get("finish_reason")),
        reasoning=_words(message.get("reasoning_content")) or _words(message.get("reasoning")),
        refusal=_words(message.get("refusal")),
        model=_words(answer.get("model")),
        fingerprint=_words(answer.get("system_fingerprint")),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        logprobs=_logprobs(choice.get("logprobs") or {}),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):  # parts, as some gateways pass them through
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return _words(content) or ""


def _words(value: Any) -> str | None:
    return encodable(value) if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if counts else None


def _logprobs(told: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Return what OpenAI lists under `content`, or Together and old completions in parallel lists."""
    if content := told.get("content"):
        return tuple(
            TokenLogprob(
                encodable(one["token"]),
                _log(one.get("logprob")),
                tuple((encodable(top["token"]), _log(top.get("logprob"))) for top in one.get("top_logprobs") or ()),
            )
            for one in content
        )
    tokens: Sequence[str] = told.get("tokens") or ()
    logs = told.get("token_logprobs") or ()
    tops = told.get("top_logprobs") or ()
    if len(logs) != len(tokens):
        return ()
    each = [_top(top) for top in tops] if isinstance(tops, list) and len(tops) == len(tokens) else [()] * len(tokens)
    return tuple(TokenLogprob(*one) for one in zip(map(encodable, tokens), map(_log, logs), each, strict=True))


def _top(top: Mapping[str, Any] | None) -> tuple[tuple[str, float], ...]:
    return tuple((encodable(token), _log(log)) for token, log in (top or {}).items())


def _log(value: Any) -> float:
    """Return a log-probability; what is none (null, NaN, positive by rounding) becomes the nearest that is."""
    if not isinstance(value, int | float) or math.isnan(value):
        return NEVER
    return min(float(value), 0.0)
