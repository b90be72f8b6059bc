"""Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, SGLang, Ollama, gateways, …"""

from judge_server.judges import ConfigError, Judge
from judge_server.llm import Backend
from judge_server.provider.chat_completions import ChatCompletions
from judge_server.provider.openai_client import open_clients


def connect(judge: Judge) -> Backend:
    """Return a backend at the judge's `base_url`.

    Raises:
        ConfigError: there is no address, or it is none.
    """
    if judge.url is None:
        raise ConfigError(f"[{judge.name}]: set base_url, or the environment variable {judge.base_url_env}")
    return ChatCompletions(judge, judge.url, open_clients(judge, judge.url, ours=False))
