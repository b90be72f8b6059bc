"""Clients of the package openai, with everything switched off that the judge server does itself."""

import ssl
from functools import cache, partial

import httpx2
from openai import AsyncOpenAI

from judge_server.judges import ConfigError, Judge
from judge_server.provider.chat_completions import CONNECT_S, is_local
from judge_server.provider.clients import EACH, Clients


def open_clients(judge: Judge, url: str, ours: bool) -> Clients:
    """Return clients without retries, redirects, or a timeout other than that of connecting.

    Only judges.toml says who gets prompts and keys, so no redirect is followed, and no proxy asked for an address on
    this machine.

    Args:
        ours: whether OPENAI_ORG_ID and OPENAI_PROJECT_ID concern the server.

    Raises:
        ConfigError: the address is none.
    """
    try:
        return Clients(partial(_open, judge, url, ours), judge.concurrency)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"[{judge.name}] base_url: {error}") from error


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted, which take long to read."""
    return httpx2.create_ssl_context()


def _open(judge: Judge, url: str, ours: bool) -> AsyncOpenAI:
    http = httpx2.AsyncClient(
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=EACH),
        trust_env=not is_local(url),
        verify=_certificates(),
    )
    client = AsyncOpenAI(base_url=url, api_key=judge.key or "none", max_retries=0, http_client=http)
    if not ours:
        client.organization = client.project = None
    return client
