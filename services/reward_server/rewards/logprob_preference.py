"""P(A > B | transcript): how likely a language model prefers one option to another, read off two letters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward, Turns
from reward_server.rewards.models.backend import Backend
from reward_server.rewards.models.dialogue import PROMPTS, SOMEBODY, Context, Turn, chat, read
from reward_server.rewards.models.endpoint import NoAnswer
from reward_server.rewards.models.layout import PLAIN, PLAIN_TEMPLATE, laid_out
from reward_server.rewards.models.letters import Letters, letter_ids, of_chat, of_text
from reward_server.rewards.models.next_token import computed
from reward_server.rewards.models.preference import COMPONENTS, ENOUGH, Preference, preference
from reward_server.rewards.models.prefix_tree import Tokens

if TYPE_CHECKING:
    import torch

LOW_MASS = f"below {ENOUGH}: the model would rather say something else than A or B"
QUESTION = (PROMPTS / "preference.txt").read_text(encoding="utf-8").strip()

Prompt = Tokens | str | tuple[tuple[str, str], ...]
"""Token ids for a model in this process; for an endpoint a text, or a chat as (role, content). Equal ones are one."""


class Comparison(Context):
    """What `context` holds: a dialogue, and two options or several pairs of them."""

    transcript: list[Turn]
    system: str | None = None
    option_a: str | None = None
    option_b: str | None = None
    pairs: Annotated[list[Annotated[list[str], Field(min_length=2, max_length=2)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_way_of_asking(self) -> Self:
        single = (self.option_a is not None, self.option_b is not None)
        if single != ((False, False) if self.pairs is not None else (True, True)):
            raise ValueError("give option_a and option_b, or pairs = [[a, b], …], and not both")
        return self

    def options(self) -> list[tuple[str, str]]:
        if self.pairs is None:
            return [(self.option_a or "", self.option_b or "")]
        return [(first, second) for first, second in self.pairs]


@dataclass(frozen=True, slots=True)
class Encoded:
    """An item's prompts, two per pair: with the options as given, and exchanged."""

    orders: list[tuple[Prompt, Prompt]]
    numbered: bool
    tokens: int


class LogprobPreference(Backend, Reward):
    """P(A > B | transcript) = sigmoid of the mean log-odds of the letters "A" and "B" over both orders of the options.

    `context` holds `transcript`, a list of {question, answer}; optionally `system`, who answers (else: the person of
    the transcript); and `option_a` and `option_b`, or `pairs` = [[a, b], …]. Whoever answers is the assistant. With
    pairs the value is the mean over them, and components are numbered: `p.0`, `log_odds.0`, `bias.0`,
    `letter_mass.0`, `flipped.0`.
    """

    reads: ClassVar[tuple[str, ...]] = ("context",)
    components: ClassVar[dict[str, Range]] = dict(COMPONENTS)
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            items=[
                {"completion": "", "context": {"transcript": [], "option_a": "tea", "option_b": "tea"}},
                {"completion": "", "context": {"transcript": [], "pairs": [["tea", "tea"], ["rye", "rye"]]}},
            ],
            values=[0.5, 0.5],
            within=0.0,
        ),
    )

    echo: bool = False
    """Whether the endpoint's /completions tells the log-probabilities of the prompt itself (echo), so that a letter
    outside its likeliest tokens can be asked for. The prompt is then laid out here: set chat_template as well."""

    _letters: tuple[list[int], list[int]] = PrivateAttr(default=([], []))

    @model_validator(mode="after")
    def _echo_needs_a_layout(self) -> Self:
        if self.echo and (self.base_url is None or self.chat_template is None):
            raise ValueError('echo is for an endpoint and needs chat_template, e.g. chat_template = "plain"')
        return self

    def load(self) -> None:
        super().load()
        if self.model is not None:
            tokenizer = self.local.tokenizer
            self._letters = (letter_ids(tokenizer, "A"), letter_ids(tokenizer, "B"))

    def prepare(self, items: list[Item]) -> None:
        """Write and tokenise the prompts; what cannot be asked is `invalid_input` and says why."""
        for item in items:
            try:
                item.encoded = self._encoded(read(Comparison, item.context))
            except ValueError as error:
                item.encoded = Score.failed("invalid_input", str(error))

    def _encoded(self, asked: Comparison) -> Encoded:
        orders = [order for a, b in asked.options() for order in ((a, b), (b, a))]
        chats = [chat(asked.system or SOMEBODY, asked.transcript, QUESTION.format(a=a, b=b)) for a, b in orders]
        prompts: list[Prompt] = [self._prompt(turns) for turns in chats]
        if self.model is not None:
            tokens = computed(self.local.model, prompts)  # type: ignore[arg-type]
        else:
            tokens = 1 + sum(len(turn["content"]) for turns in chats for turn in turns) // 4
        return Encoded(list(zip(prompts[::2], prompts[1::2], strict=True)), asked.pairs is not None, tokens)

    def _prompt(self, turns: Turns) -> Prompt:
        if self.model is not None:
            return self.encode(turns)
        if self.echo:
            return laid_out(turns, PLAIN_TEMPLATE if self.chat_template == PLAIN else self.chat_template or "")
        return tuple((turn["role"], turn["content"]) for turn in turns)

    def tokens(self, item: Item) -> int:
        return item.encoded.tokens if isinstance(item.encoded, Encoded) else 1

    def score(self, items: list[Item]) -> list[Score]:
        self.prepare([item for item in items if item.encoded is None])
        encoded = [item.encoded for item in items if isinstance(item.encoded, Encoded)]
        prompts = list(dict.fromkeys(prompt for one in encoded for order in one.orders for prompt in order))
        answers = dict(zip(prompts, self._asked(prompts) if prompts else [], strict=True))
        return [_score(item.encoded, answers) for item in items]

    def _asked(self, prompts: list[Any]) -> Sequence[Letters | NoAnswer]:
        if self.model is not None:
            read = partial(_log_letters, letters=self._letters)
            rows = self.local.read_next(prompts, read, self.batch_tokens).tolist()
            return [Letters(*row) for row in rows]
        if self.echo:
            return self.remote.each(partial(of_text, self.remote), prompts)
        return self.remote.each(lambda prompt: of_chat(self.remote, _turns(prompt)), prompts)


def _turns(prompt: tuple[tuple[str, str], ...]) -> Turns:
    return [{"role": role, "content": content} for role, content in prompt]


def _log_letters(logits: "torch.Tensor", letters: tuple[list[int], list[int]]) -> "torch.Tensor":
    """Return (rows, 2): the log-probabilities of A and of B, of all tokens that spell them, from (rows, vocabulary)."""
    import torch

    whole = logits.logsumexp(1)
    return torch.stack([logits[:, ids].logsumexp(1) - whole for ids in letters], dim=1)


def _score(encoded: Any, answers: Mapping[Prompt, Letters | NoAnswer]) -> Score:
    if isinstance(encoded, Score):
        return encoded
    found = []
    for prompts in encoded.orders:
        told = [answers[prompt] for prompt in prompts]
        if failed := [one for one in told if isinstance(one, NoAnswer)]:
            return Score.failed(failed[0].status, str(failed[0]))
        try:
            found.append(preference(*(one for one in told if isinstance(one, Letters))))
        except ValueError as error:
            return Score.failed("model_error", str(error))
    return _numbered(found) if encoded.numbered else _single(found[0])


def _single(one: Preference) -> Score:
    notes = {"letter_mass": LOW_MASS} if one.letter_mass < ENOUGH else {}
    return Score(value=one.p, components=one._asdict(), notes=notes)


def _numbered(found: Sequence[Preference]) -> Score:
    each = [{"p": one.p, **one._asdict()} for one in found]
    components = {f"{name}.{place}": value for place, one in enumerate(each) for name, value in one.items()}
    notes = {f"letter_mass.{place}": LOW_MASS for place, one in enumerate(found) if one.letter_mass < ENOUGH}
    return Score(value=math.fsum(one.p for one in found) / len(found), components=components, notes=notes)
