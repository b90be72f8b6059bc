"""What a reward is. Each further file of this folder is one kind of reward, named by its file.

A kind is one class: its fields are its typed settings, its docstring is the text of `GET /v1/rewards`, its `score` is
its behaviour. Nothing here knows HTTP, queues or caches, so that a trainer can import a reward and call it. Folders
hold what several kinds are built from.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from guerdon.messages import Item as WireItem
from guerdon.messages import Range, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


Scope = Literal["item", "group"]
Turns = list[dict[str, Any]]
"""Chat messages, each with `role` and `content`."""


@dataclass(slots=True)
class Item:
    """One completion as a reward sees it: chat messages flattened to their text.

    Attributes:
        prompt, completion: plain text.
        reference: ground truth as the reward defines it, or None.
        context: further fields.
        vectors: unit embeddings of what the reward's `texts` asked for, in that order; float32 (d,) each.
        scores: what each of the reward's `needs` scored this item, by name; failed ones are there too.
        found: what the reward's `inquire` returned.
        encoded: what the kind's `prepare` made of the item, usually token ids.
        prompt_turns, completion_turns: the chat messages where the caller sent such.
    """

    prompt: str
    completion: str
    reference: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    vectors: "list[Vector]" = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)
    found: Any = None
    encoded: Any = None
    prompt_turns: Turns | None = None
    completion_turns: Turns | None = None

    @classmethod
    def from_wire(cls, item: WireItem) -> "Item":
        return cls(
            text(item.prompt),
            text(item.completion),
            item.reference,
            item.context,
            prompt_turns=turns(item.prompt),
            completion_turns=turns(item.completion),
        )

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Item":
        """Make an item of what came over the queue: only the fields its kind reads."""
        prompt, completion = fields.get("prompt", ""), fields.get("completion", "")
        return cls(
            text(prompt),
            text(completion),
            fields.get("reference"),
            fields.get("context") or {},
            prompt_turns=turns(prompt),
            completion_turns=turns(completion),
        )

    def chat(self) -> Turns:
        """Return the whole conversation; a plain prompt is the user's turn, a plain completion the assistant's."""
        before = self.prompt_turns if self.prompt_turns is not None else [{"role": "user", "content": self.prompt}]
        if self.completion_turns is not None:
            return before + self.completion_turns
        return [*before, {"role": "assistant", "content": self.completion}]


def turns(value: Any) -> Turns | None:
    """Return the chat messages of a prompt or completion; None for plain text."""
    if isinstance(value, str):
        return None
    return [turn if isinstance(turn, dict) else turn.model_dump() for turn in value]


def text(value: Any) -> str:
    """Return a prompt's or completion's plain text; the turns of a chat are joined by newlines."""
    if isinstance(value, str):
        return value
    return "\n".join(turn.get("content") or "" for turn in turns(value) or [])


class Ask(NamedTuple):
    """A question to something served: its name in rewards.toml, and the item (its fields) it is asked about."""

    name: str
    fields: dict[str, Any]


Answer = Score | str
"""What a reward scored, or what a writer wrote."""
Inquiry = Generator[list[Ask], list[Answer], Any]


class Golden(NamedTuple):
    """Items whose scores are known, for `guerdon rewards check`. For a group reward they are one group.

    Attributes:
        items: the fields of each, as in a request.
        values: the values expected; None where any finite value within the declared range will do.
        within: the largest difference that passes.
    """

    items: Sequence[Mapping[str, Any]]
    values: Sequence[float | None]
    within: float = 1e-6


class Kind(BaseModel):
    """What rewards and encoders have in common: settings, where they run, what they read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    runs: ClassVar[Literal["inline", "worker"]] = "inline"
    reads: ClassVar[tuple[str, ...]] = ("completion",)
    """The item fields that decide the outcome: what is sent to a worker, and what the content id is made of."""
    code_version: ClassVar[int] = 1
    """Raise it when the same settings begin to give other scores: cached scores of older code are then not used."""

    @classmethod
    def kind(cls) -> str:
        return cls.__module__.rpartition(".")[2]

    def load(self) -> None:
        """Load models, once, in the worker that will run them. Light kinds have nothing to do."""

    def revision(self) -> str:
        """Return what pins the model's weights, cheap enough for the API process; "" without a model."""
        return ""

    golden: ClassVar[tuple[Golden, ...]] = ()
    """What `guerdon rewards check` tries; a table of rewards.toml can name others."""

    def prepare(self, items: list[Item]) -> None:
        """Tokenise items into their `encoded`; runs on other threads than `score`, while the model is busy."""

    def pads(self) -> bool:
        """Whether a call costs its longest item times its items, as a padded batch does, or just all their tokens."""
        return True

    def tokens(self, item: Item) -> int:
        """Return the tokens one prepared item costs the model; batches are filled to a budget of them."""
        return 1 + (len(item.prompt) + len(item.completion)) // 4

    def calls_at_once(self) -> int:
        """Return how many calls may run side by side, on threads; for kinds that wait for a server, not for a model.

        With more than one, a call that waits long keeps nobody else waiting, and its time counts as no model's.
        """
        return 1


class Reward(Kind):
    """A kind that scores completions.

    `score` gets a list of items and returns one float (or Score, for components) per item, in order. For
    `scope = "group"` the list is one whole group of completions of one prompt. What it raises, and every value that
    is not finite, becomes a `model_error` of the guilty item only; a group that raises fails as a group.
    """

    scope: ClassVar[Scope] = "item"
    range: ClassVar[Range] = Range(low=0, high=1, better="higher")
    components: ClassVar[dict[str, Range]] = {}
    embeds: ClassVar[bool] = False
    """Whether `texts` asks for embeddings."""

    def texts(self, item: Item) -> list[str]:
        """Return the texts whose embeddings `score` will find in `item.vectors`."""
        return []

    def needs(self) -> tuple[str, ...]:
        """Return the served rewards whose scores of the same items `score` finds in `item.scores`, failed ones too."""
        return ()

    def served_scope(self, needed: Mapping[str, Scope]) -> Scope:
        """Return the scope under these settings, given the scopes of what it needs."""
        return self.scope

    def asks(self) -> tuple[str, ...]:
        """Return the names of everything served that `inquire` asks."""
        return ()

    def inquire(self, item: Item) -> Inquiry:
        """Ask served kinds about other items than this one, in rounds: yield questions, receive their answers.

        What it returns is the item's `found`. An item has failed when an answer of its has; `inquire` then ends. What
        it raises is `invalid_input`.
        """
        yield from ()

    def score(self, items: list[Item]) -> Sequence[float | Score]:
        raise NotImplementedError(f"{type(self).__name__} has no score method")

    def served_components(self) -> dict[str, Range]:
        """Return the components these settings produce; all that the kind declares, unless it says otherwise."""
        return self.components


class Encoder(Kind):
    """A kind that turns texts into unit vectors for the rewards that need them."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"

    def embed(self, texts: list[str]) -> "NDArray[np.float32]":
        """Return unit vectors, float32 (len(texts), d)."""
        raise NotImplementedError(f"{type(self).__name__} has no embed method")


class Writer(Kind):
    """A kind that writes text for the rewards that ask for it, e.g. a persona's answer."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"

    def write(self, items: list[Item]) -> Sequence[str]:
        """Return one text per item."""
        raise NotImplementedError(f"{type(self).__name__} has no write method")
