"""How every model is sampled: the same for all, whatever their own generation configs say."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Sampling:
    """The settings of one comparison.

    Attributes:
        temperature: 0 is greedy.
        top_p: the smallest set of tokens with this probability is drawn from.
        max_tokens: of a completion.
        stop: texts that end a completion; they are not part of it.
        prompt_format: chat: prompts go through the model's chat template; plain: they are text that it continues.
    """

    seed: int = 42
    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    prompt_format: Literal["chat", "plain"] = "chat"

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "stop": list(self.stop)}


def cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """Return a text up to the first of the stops in it, and whether there was one."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
