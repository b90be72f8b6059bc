"""Replies as JSON: how the ledger keeps them, and how a replay judge's file holds them."""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

from judge_server.judgment.utf8 import encodable
from judge_server.llm import Reply, TokenLogprob


def dump(reply: Reply) -> str:
    """Return every field that is there. A log-probability of minus infinity becomes null, JSON having none."""
    fields = {name: value for name, value in vars(reply).items() if value is not None and name != "logprobs"}
    if reply.logprobs:
        fields["logprobs"] = [_token(one) for one in reply.logprobs]
    try:
        return orjson.dumps(fields).decode()
    except TypeError:  # a text that UTF-8 cannot hold; the reply is paid and has to be kept
        return encodable(json.dumps(fields, ensure_ascii=False))


def load(text: str) -> Reply:
    return from_fields(orjson.loads(text))


def from_fields(fields: Mapping[str, Any]) -> Reply:
    """Return the reply.

    Raises:
        ValueError, TypeError, KeyError: that is none.
    """
    rest = dict(fields)
    logprobs = tuple(
        TokenLogprob(one["token"], _log(one["logprob"]), tuple((token, _log(log)) for token, log in one.get("top", ())))
        for one in rest.pop("logprobs", ())
    )
    return Reply(**rest, logprobs=logprobs)


def _token(one: TokenLogprob) -> dict[str, Any]:
    fields: dict[str, Any] = {"token": one.token, "logprob": _finite(one.logprob)}
    return fields | {"top": [(token, _finite(log)) for token, log in one.top]} if one.top else fields


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _log(value: float | None) -> float:
    return -math.inf if value is None else float(value)
