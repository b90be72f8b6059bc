"""OpenAI's own models."""

from judge_server.judges import Judge
from judge_server.llm import Backend
from judge_server.provider.chat_completions import ChatCompletions
from judge_server.provider.openai_client import open_clients

ADDRESS = "https://api.openai.com/v1"
IMPLIED = {"temperature": 1.0, "top_p": 1.0}
"""The defaults of the API, and all that its reasoning models take."""


def connect(judge: Judge) -> Backend:
    """Return a backend. The reasoning models refuse `max_tokens`; all models know the newer name.

    Raises:
        ConfigError: the judge's address is none.
    """
    url = judge.url or ADDRESS
    clients = open_clients(judge, url, ours=True)
    return ChatCompletions(judge, url, clients, limit="max_completion_tokens", implied=IMPLIED)
