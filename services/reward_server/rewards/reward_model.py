"""A completion's score by a trained sequence classifier: one output, several attributes, or quantiles of each."""

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from guerdon.messages import Range, Score
from reward_server.rewards import Golden, Item, Reward
from reward_server.rewards.models.checkpoint import classifier, encoding, tokenizer
from reward_server.rewards.models.classifier import Classifier
from reward_server.rewards.models.conversation import ChatTemplate, text_pair
from reward_server.rewards.models.quantiles import Layout, by_attribute, cvar, mean, mixed, spread
from reward_server.rewards.models.source import Dtype, revision
from reward_server.rewards.models.tokenizer import Encoded

TRUNCATED = "truncated"
HIGHER = Range(low=None, high=None, better="higher")


class RewardModel(Reward):
    """A sequence classifier's score of a conversation with its reply.

    One output is the value (Bradley & Terry 1952). Of several, each is an attribute, and the value is Σ weight·output.
    With `quantiles` each attribute has that many outputs, the quantiles of its score at equally spaced levels (QRM,
    Dorka 2024): they are sorted, mixed level by level with the weights, and the value is their `mean`, or `cvar`, the
    mean of the lowest share tau, which trusts a reply only as far as the model is sure of it; `spread` is their
    standard deviation. `truncated` is how many of the conversation's oldest tokens did not fit.
    """

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    reads: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    range: ClassVar[Range] = HIGHER
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden([{"prompt": "What is the capital of France?", "completion": "Paris."}], [None]),
    )

    model: str
    """A model directory, a hub id, or package:NAME for a Python package that carries one in its folder `model`."""
    hub_revision: str | None = None
    """Commit of a hub id. Required for one: without it two workers could serve different weights."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the weights. It can do whatever the worker can."""
    dtype: Dtype = "auto"
    """What to compute in; auto is bfloat16 where the hardware computes in it, else float32."""
    max_tokens: int | None = Field(default=None, ge=8)
    """Longest conversation; None: as long as the model can read."""
    text: Literal["chat", "pair"] = "chat"
    """How a conversation is written: by the tokenizer's chat template, or as two texts, prompt and completion."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Weight of each attribute in the value, by its label or index. Only these are reported; one output needs none."""
    quantiles: int | None = Field(default=None, ge=2)
    """How many quantiles each attribute has; None: none."""
    layout: Layout = "attribute_major"
    """attribute_major: the quantiles of one attribute lie side by side; quantile_major: the attributes of one level."""
    value: Literal["mean", "cvar"] = "mean"
    """What of the quantiles is the value."""
    tau: float = Field(default=0.25, gt=0, le=1)
    """The share of the distribution that cvar looks at."""

    _classifier: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)
    _template: ChatTemplate | None = PrivateAttr(default=None)
    _attributes: tuple[int, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.value == "cvar" and self.quantiles is None:
            raise ValueError('value = "cvar" needs quantiles')
        if odd := [name for name, weight in self.weights.items() if not math.isfinite(weight)]:
            raise ValueError(f"the weights of {odd} are not finite")
        return self

    def served_components(self) -> dict[str, Range]:
        own = {component(name): Range() if not weight else HIGHER for name, weight in self.weights.items()}
        if self.quantiles:
            own |= {"mean": HIGHER, "cvar": HIGHER, "spread": Range(low=0, better="lower")}
        return own | {TRUNCATED: Range(low=0)}

    def revision(self) -> str:
        return revision(self.model, self.hub_revision)

    def load(self) -> None:
        model = classifier(self.model, self.hub_revision, self.dtype, self.trust_remote_code)
        words = tokenizer(self.model, self.hub_revision, self.trust_remote_code)
        self._template = ChatTemplate(words) if self.text == "chat" else None
        # The special tokens that a template writes must be read as such; no others can be there.
        self._tokenizer = encoding(model, words, self.max_tokens, literal=self._template is None)
        self._attributes = self._named(model.config.num_labels, model.config.label2id)
        self._classifier = Classifier(model)

    def _named(self, outputs: int, labels: dict[str, int]) -> tuple[int, ...]:
        """Return the index of each attribute that has a weight."""
        count, rest = divmod(outputs, self.quantiles or 1)
        if rest:
            raise ValueError(f"{self.model!r} has {outputs} outputs, no multiple of quantiles = {self.quantiles}")
        known = {str(index): index for index in range(count)} | ({} if self.quantiles else dict(labels))
        if not self.weights and count > 1:
            raise ValueError(f"{self.model!r} has {count} attributes: give `weights` of some of {sorted(known)}")
        if unknown := sorted(self.weights.keys() - known.keys()):
            raise ValueError(f"{self.model!r} has no attributes {unknown}; known: {sorted(known)}")
        return tuple(known[name] for name in self.weights) or (0,)

    def pads(self) -> bool:
        return not self._classifier.packed

    def prepare(self, items: list[Item]) -> None:
        if self._template is None:
            found = self._tokenizer.pairs([text_pair(item) for item in items])
        else:
            found = self._tokenizer.rendered([self._template.render(item) for item in items])
        for item, encoded in zip(items, found, strict=True):
            item.encoded = encoded

    def tokens(self, item: Item) -> int:
        return len(self._encoded([item])[0].ids)

    def score(self, items: list[Item]) -> list[Score]:
        sequences = self._encoded(items)
        outputs = self._classifier.logits(sequences).tolist()
        return [self._score(one, encoded.left_out) for one, encoded in zip(outputs, sequences, strict=True)]

    def _encoded(self, items: list[Item]) -> list[Encoded]:
        if missing := [item for item in items if item.encoded is None]:
            self.prepare(missing)
        return [item.encoded for item in items]

    def _score(self, outputs: list[float], left_out: int) -> Score:
        value, components = self._judged(outputs)
        components[TRUNCATED] = left_out
        notes = {TRUNCATED: f"the conversation's first {left_out} tokens did not fit"} if left_out else {}
        return Score(value=value, components=components, notes=notes)

    def _judged(self, outputs: list[float]) -> tuple[float, dict[str, float | None]]:
        """Return the value, and the attributes and what there is beside them."""
        attributes = by_attribute(outputs, self.quantiles or 1, self.layout)
        chosen = [attributes[index] for index in self._attributes]
        mix = mixed(chosen, list(self.weights.values()) or [1.0])
        components: dict[str, float | None] = {
            component(name): mean(own) for name, own in zip(self.weights, chosen, strict=False)
        }
        if self.quantiles:
            components |= {"mean": mean(mix), "cvar": cvar(mix, self.tau), "spread": spread(mix)}
        return (cvar(mix, self.tau) if self.value == "cvar" else mean(mix)), components


def component(name: str) -> str:
    """Return what an attribute is called among the components: its label, or its place."""
    return f"attribute_{name}" if name.isdigit() else name
