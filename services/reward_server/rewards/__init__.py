"""What a reward is. Each further file of this folder is one kind of reward, named by its file.

A kind is one class: its fields are its typed settings, its docstring is the text of `GET /v1/rewards`, its `score` is
its behaviour. Nothing here knows HTTP, queues or caches, so that a trainer can import a reward and call it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from guerdon.messages import Item as WireItem
from guerdon.messages import Range, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


@dataclass(slots=True)
class Item:
    """One completion as a reward sees it: chat messages flattened to their text.

    Attributes:
        prompt, completion: plain text.
        reference: ground truth as the reward defines it, or None.
        context: further fields.
        vectors: unit embeddings of what the reward's `texts` asked for, in that order; float32 (d,) each.
    """

    prompt: str
    completion: str
    reference: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    vectors: "list[Vector]" = field(default_factory=list)

    @classmethod
    def from_wire(cls, item: WireItem) -> "Item":
        return cls(text(item.prompt), text(item.completion), item.reference, item.context)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Item":
        """Make an item of what came over the queue: only the fields its kind reads."""
        return cls(
            text(fields.get("prompt", "")),
            text(fields.get("completion", "")),
            fields.get("reference"),
            fields.get("context") or {},
        )


def text(value: Any) -> str:
    """Return a prompt's or completion's plain text; the turns of a chat are joined by newlines."""
    if isinstance(value, str):
        return value
    turns = (turn if isinstance(turn, dict) else turn.model_dump() for turn in value)
    return "\n".join(turn.get("content") or "" for turn in turns)


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

    def tokens(self, item: Item) -> int:
        """Estimate the tokens one item costs the model; batches are filled to a budget of them."""
        return 1 + (len(item.prompt) + len(item.completion)) // 4


class Reward(Kind):
    """A kind that scores completions.

    `score` gets a list of items and returns one float (or Score, for components) per item, in order. For
    `scope = "group"` the list is one whole group of completions of one prompt. What it raises, and every value that
    is not finite, becomes a `model_error` of the guilty item only; a group that raises fails as a group.
    """

    scope: ClassVar[Literal["item", "group"]] = "item"
    range: ClassVar[Range] = Range(low=0, high=1, better="higher")
    components: ClassVar[dict[str, Range]] = {}
    embeds: ClassVar[bool] = False
    """Whether `texts` asks for embeddings."""

    def texts(self, item: Item) -> list[str]:
        """Return the texts whose embeddings `score` will find in `item.vectors`."""
        return []

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
