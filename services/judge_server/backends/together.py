"""The models of Together AI, through its own package."""

import ssl
from functools import cache, partial
from typing import TYPE_CHECKING

import httpx

from judge_server.judges import ConfigError, Judge
from judge_server.llm import Backend
from judge_server.provider.chat_completions import CONNECT_S, ChatCompletions, is_local
from judge_server.provider.clients import EACH, Clients

if TYPE_CHECKING:
    from together import AsyncTogether

ADDRESS = "the default address of the package together"


def connect(judge: Judge) -> Backend:
    """Return a backend; `base_url` is up to and including /v1, as of every judge, though the package wants it without.

    Raises:
        ConfigError: the address is none.
    """
    try:
        clients = Clients(partial(_open, judge), judge.concurrency)
    except httpx.InvalidURL as error:
        raise ConfigError(f"[{judge.name}] base_url: {error}") from error
    return ChatCompletions(judge, judge.url or ADDRESS, clients, ask_logprobs=lambda top: {"logprobs": top})


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted, which take long to read."""
    return httpx.create_ssl_context()


def _open(judge: Judge) -> "AsyncTogether":
    from together import AsyncTogether

    return AsyncTogether(
        api_key=judge.key or "none",
        base_url=judge.url.rstrip("/").removesuffix("/v1") if judge.url else None,
        max_retries=0,
        http_client=httpx.AsyncClient(
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=EACH),
            trust_env=not is_local(judge.url),
            verify=_certificates(),
        ),
    )
