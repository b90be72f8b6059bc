"""OpenAI's own models."""

from judge_server.chat_completions import ChatCompletions
from judge_server.judges import Judge
from judge_server.llm import Backend
from judge_server.openai_client import open_clients

ADDRESS = "https://api.openai.com/v1"


def connect(judge: Judge) -> Backend:
    """Return a backend. The reasoning models refuse `max_tokens`; all models know the newer name.

    Raises:
        ConfigError: the judge's address is none.
    """
    url = judge.url or ADDRESS
    return ChatCompletions(judge, url, open_clients(judge, url, ours=True), limit="max_completion_tokens")
