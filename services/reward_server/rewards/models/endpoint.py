"""An OpenAI-compatible endpoint: what its model answers, and how likely its first token is."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from guerdon.messages import Status
from reward_server.rewards import Turns

TOP = 20
"""Alternatives that are asked for with each token; the most that OpenAI gives."""
UNTOLD = -9999.0
"""What OpenAI writes for the log-probability of a token that it does not tell."""

In = TypeVar("In")
Out = TypeVar("Out")


class NoAnswer(Exception):
    """The endpoint gave nothing to score; the message holds neither prompts nor keys."""

    def __init__(self, status: Status, why: str) -> None:
        super().__init__(why)
        self.status: Status = status


class Likely(NamedTuple):
    """A token's text and its log-probability in nats."""

    token: str
    log: float


class Endpoint:
    """One model behind an OpenAI-compatible API, for many threads.

    Redirects are not followed: only the operator's settings say who gets prompts and keys.

    Args:
        base_url: up to and with its version, e.g. http://localhost:8000/v1.
        model_name: what the endpoint calls the model.
        api_key_env: the environment variable that holds the key; None for an endpoint without one.
        timeout_s: of one attempt.
        max_retries: after a refused connection, a timeout, or the statuses 408, 409, 429 and 5xx.
        max_concurrency: calls at a time.

    Raises:
        ValueError: the environment variable is not set.
    """

    def __init__(
        self,
        base_url: str,
        model_name: str,
        api_key_env: str | None,
        timeout_s: float,
        max_retries: int,
        max_concurrency: int,
    ) -> None:
        from openai import DefaultHttpxClient, OpenAI

        self._model = model_name
        self._threads = ThreadPoolExecutor(max_concurrency, thread_name_prefix="endpoint")
        self._client = OpenAI(
            base_url=base_url,
            api_key=_key(base_url, api_key_env),
            timeout=timeout_s,
            max_retries=max_retries,
            http_client=DefaultHttpxClient(follow_redirects=False, timeout=timeout_s),
        )

    def each(self, ask: Callable[[In], Out], questions: Sequence[In]) -> list[Out | NoAnswer]:
        """Return the answer to each question, or why there is none."""

        def asked(question: In) -> Out | NoAnswer:
            try:
                return ask(question)
            except NoAnswer as error:
                return error

        return list(self._threads.map(asked, questions))

    def answer(self, turns: Turns, max_tokens: int, temperature: float, seed: int) -> str:
        """Return the text that answers a chat.

        Raises:
            NoAnswer: there is none.
        """
        with _explained():
            reply = self._chat(turns, max_tokens=max_tokens, temperature=temperature, seed=seed)
            text: str = reply.choices[0].message.content or ""
        if not text.strip():
            raise NoAnswer("model_error", "the endpoint's answer is empty")
        return text.strip()

    def likely_answers(self, turns: Turns) -> list[Likely]:
        """Return the tokens an answer to a chat most likely begins with, up to TOP of them.

        Raises:
            NoAnswer: the endpoint does not tell.
        """
        with _explained():
            reply = self._chat(turns, max_tokens=1, temperature=0, logprobs=True, top_logprobs=TOP)
            top = reply.choices[0].logprobs.content[0].top_logprobs
            return [Likely(one.token, one.logprob) for one in top if one.logprob > UNTOLD]

    def likely_tokens(self, text: str) -> list[Likely]:
        """Return the tokens a text most likely goes on with, up to TOP of them.

        Raises:
            NoAnswer: the endpoint does not tell.
        """
        with _explained():
            reply = self._text(text, max_tokens=1, temperature=0, logprobs=TOP)
            top = reply.choices[0].logprobs.top_logprobs[0]
            return [Likely(token, log) for token, log in top.items() if log is not None and log > UNTOLD]

    def last_tokens(self, text: str) -> list[Likely]:
        """Return the last tokens of a text itself with their log-probabilities, from one call that echoes it.

        One more token is always written, because many endpoints refuse to write none; so the text's last token is the
        last of these but one, as in lm-evaluation-harness (models/openai_completions.py), or the last.

        Raises:
            NoAnswer: the endpoint does not tell.
        """
        with _explained():
            reply = self._text(text, max_tokens=1, temperature=0, logprobs=1, echo=True)
            told = reply.choices[0].logprobs
            pairs = list(zip(told.tokens, told.token_logprobs, strict=True))[-2:]
            return [Likely(token, log) for token, log in pairs if log is not None and log > UNTOLD]

    def _chat(self, turns: Turns, **options: Any) -> Any:
        messages: Any = turns
        return self._client.chat.completions.create(model=self._model, messages=messages, **options)

    def _text(self, text: str, **options: Any) -> Any:
        return self._client.completions.create(model=self._model, prompt=text, **options)


def _key(base_url: str, variable: str | None) -> str:
    if variable is None:
        return "none"  # the client insists on one
    if not os.environ.get(variable):
        raise ValueError(f"the environment variable {variable} is not set; it should hold the key of {base_url}")
    return os.environ[variable]


@contextmanager
def _explained() -> Iterator[None]:
    """Say what went wrong without the endpoint's own words: they may repeat the prompt."""
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise NoAnswer("timeout", "the endpoint did not answer in time") from None
    except openai.APIStatusError as error:
        raise NoAnswer("model_error", f"the endpoint answered with status {error.status_code}") from None
    except openai.APIConnectionError as error:
        raise NoAnswer("model_error", f"no connection to the endpoint ({type(error.__cause__).__name__})") from None
    except (openai.OpenAIError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = f"the endpoint's answer lacks what was asked for ({type(error).__name__})"
        raise NoAnswer("model_error", why) from None
