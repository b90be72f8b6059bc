"""What makes two calls the same: the key under which the ledger finds a paid reply again."""

from hashlib import sha256

import orjson

from judge_server.judges import Judge
from judge_server.llm import Call, Turns


def cache_key(judge: Judge, call: Call, prompt_version: str) -> str:
    """Return a hash of where the call goes and everything that is sent; neither the judge's name nor its key matter."""
    everything = (
        judge.kind,
        judge.base_url or judge.base_url_env or str(judge.file or ""),  # an address of run time may change its port
        judge.model,
        prompt_version,
        call.turns,
        call.max_tokens,
        call.temperature,
        call.top_p,
        call.seed,
        call.schema,
        call.top_logprobs,
        call.sample,
    )
    return sha256(orjson.dumps(everything, option=orjson.OPT_SORT_KEYS)).hexdigest()


def prompt_hash(turns: Turns) -> str:
    """Return a hash of the rendered messages alone."""
    return sha256(orjson.dumps(turns)).hexdigest()
