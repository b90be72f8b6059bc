"""Who is compared: what `--model` and `--outputs` say."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from model_evaluation.evaluation_error import EvaluationError

NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<rest>.+)", re.DOTALL)
ENDPOINT = re.compile(r"endpoint:(?P<url>https?://[^#]+)#(?P<model>[^,]+)(?:,key_env=(?P<key_env>\w+))?")
Kind = Literal["local", "endpoint", "outputs"]


@dataclass(frozen=True)
class Contestant:
    """One model of a comparison.

    Attributes:
        name: how it is called in the report; never shown to the judge.
        source: a path, hub id or package; an endpoint's URL; or a file of outputs.
        model: of an endpoint.
        key_env: the environment variable that holds an endpoint's key; None: none is sent.
    """

    name: str
    kind: Kind
    source: str
    model: str = ""
    key_env: str | None = None

    @property
    def described(self) -> str:
        """Return all that its name may be recognised by, e.g. which family it is of."""
        return f"{self.source} {self.model}".strip()


def parsed(text: str) -> Contestant:
    """Return the contestant that [NAME=]MODEL names.

    Raises:
        EvaluationError: it is an endpoint without URL or model.
    """
    named = NAMED.fullmatch(text)
    name, source = (named["name"], named["rest"]) if named else (None, text)
    if not source.startswith("endpoint:"):
        return Contestant(name or source.rstrip("/"), "local", source)
    found = ENDPOINT.fullmatch(source)
    if found is None:
        raise EvaluationError(
            f"--model {text}: an endpoint is written endpoint:URL#MODEL[,key_env=VARIABLE], "
            "e.g. endpoint:http://127.0.0.1:8080/v1#qwen"
        )
    return Contestant(name or found["model"], "endpoint", found["url"].rstrip("/"), found["model"], found["key_env"])


def all_of(models: Sequence[str], outputs: Sequence[str]) -> list[Contestant]:
    """Return every contestant, in the order given, models first.

    Raises:
        EvaluationError: there are fewer than two, or two of one name, or one has no key.
    """
    made = [parsed(text) for text in models] + [_outputs(text) for text in outputs]
    if len(made) < 2:
        raise EvaluationError("a comparison needs two models at least: --model and --outputs may be given repeatedly")
    if twice := [name for name, times in Counter(one.name for one in made).items() if times > 1]:
        raise EvaluationError(f"two models are called {twice[0]!r}; name them: --model a={twice[0]} --model b=…")
    need_keys(made)
    return made


def need_keys(contestants: Iterable[Contestant]) -> None:
    """Check that every key that an endpoint is to be sent is there, before anything is asked or paid.

    Raises:
        EvaluationError: the environment variable that one names is not set.
    """
    for one in contestants:
        if one.key_env and not os.environ.get(one.key_env):
            raise EvaluationError(f"{one.name} has no key: set the environment variable {one.key_env} (its key_env)")


def _outputs(text: str) -> Contestant:
    from model_evaluation.answers import model_outputs  # which reads the file's generator

    named = NAMED.fullmatch(text)
    path = named["rest"] if named else text
    return Contestant(named["name"] if named else model_outputs.generator(path), "outputs", path)
