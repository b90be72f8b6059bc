"""Replies as JSON: how the ledger keeps them, and how a replay judge's file holds them."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from judge_server.llm import Reply, TokenLogprob


def dump(reply: Reply) -> str:
    """Return every field that is there. A log-probability of minus infinity becomes null, JSON having none."""
    fields = {name: value for name, value in vars(reply).items() if value is not None and name != "logprobs"}
    if reply.logprobs:
        fields["logprobs"] = [
            asdict(one) if one.top else {"token": one.token, "logprob": one.logprob} for one in reply.logprobs
        ]
    return orjson.dumps(fields).decode()


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


def _log(value: float | None) -> float:
    return -math.inf if value is None else float(value)
