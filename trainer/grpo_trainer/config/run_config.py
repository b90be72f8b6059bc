"""What a run file may say: every section, key, type and default of `guerdon train RUN.toml`."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1)]
Modules = Annotated[list[Text], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, and "16" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Lora(Section):
    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """Scale: the adapter's output is multiplied by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Modules = Field(default=["all-linear"], min_length=1)
    """Which layers get an adapter; `all-linear` is every linear layer but the output layer."""


class Policy(Section):
    model: Text
    """A hub id, a local directory or GGUF file, or `package:NAME`, an installed package that carries a GGUF file."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the hardware computes in it, else float32."""
    prompt: Literal["chat", "plain"] = "chat"
    """chat: prompts go through the chat template. plain: prompts are text that the policy continues."""
    chat_template: Text | None = None
    """`plain` for the template that ships, or the path of a Jinja file; the tokenizer's own where omitted."""
    end_of_turn: Text | None = None
    """One more text that ends a completion, e.g. a newline: a base model does not stop by itself."""
    train: Literal["lora", "all"] = "lora"
    """lora: an adapter. all: every weight."""
    lora: Lora = Lora()


class Dataset(BaseModel):
    """A dataset and its own settings, which the dataset itself checks."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: Text

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class RewardTerm(Section):
    name: Text
    """The name the reward server serves it under."""
    weight: float = 1.0
    """With target_share, the weight that the run begins with."""
    target_share: float | None = Field(default=None, gt=0, lt=1)
    """Instead of a fixed weight: the share of the advantage that this term is to carry (target_share.py)."""
    cost_per_call: float | None = Field(default=None, ge=0)
    """What one completion's score costs, in your currency; `guerdon doctor` adds it up."""


class Services(Section):
    reward_url: Text = "http://127.0.0.1:8000"
    token_env: Text | None = None
    """The environment variable that holds the reward server's token (GUERDON_REWARD_TOKEN where omitted)."""
    deadline_s: float = Field(default=120.0, gt=0, le=3600)
    """How long one step waits for its scores."""
    max_failed_share: float = Field(default=0.5, ge=0, le=1)
    """End the run when more than this share of a step's completions has no score; 1 goes on whatever fails."""


class Imputation(Section):
    """Score a random part of each group with an expensive reward and predict the rest (imputation/)."""

    reward: Text | None = None
    """Which of the rewards; may be left out where there is only one."""
    mode: Literal["impute", "oracle"] = "impute"
    """oracle: score and train on everything, and measure what imputation would have said against it."""
    q: float = Field(default=0.5, gt=0, lt=1)
    """The share of each group that is scored, at least three of its members."""
    from_share: float = Field(default=0.2, ge=0, lt=1)
    """The share of the run's steps at whose start everything is scored."""
    ridge: float = Field(default=10.0, gt=0)
    """Penalty of the regression, over standardised features."""
    half_life: float = Field(default=100.0, gt=0)
    """Generation batches after which a score counts half: the policy's hidden states move as it learns."""
    threshold: float = Field(default=0.5, ge=-1, lt=1)
    """Least rank agreement (Spearman within groups, on scores not yet learnt from); below it everything is scored."""
    window: int = Field(default=64, ge=8)
    """Groups that the rank agreement is measured on."""


class Liveness(Section):
    """When a run that teaches nothing ends itself (liveness.py)."""

    steps: int = Field(default=50, ge=0)
    """End it after so many steps in a row without a change of the policy, or without spread in the reward; 0 never."""
    completions: int = Field(default=1024, ge=0)
    """End it when a term has changed no advantage of the first so many completions (sensitivity.py); 0 never."""


class Output(Section):
    dir: Text = "runs/{name}-{time}"
    """Where the run writes; `{name}` is the run file's name and `{time}` its start."""
    merged: bool = False
    """Also save the policy with its adapter merged in, for servers that load no adapters."""

    def folder(self, name: str) -> Path:
        """Return the folder of a run of that name which starts now.

        Raises:
            ValueError: `dir` names none.
        """
        try:
            return Path(self.dir.format(name=name, time=time.strftime("%Y%m%d-%H%M%S"))).expanduser()
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            said = "{name} and {time} are filled in, any other brace is doubled"
            raise ValueError(f"{self.dir!r} names no folder ({error}); {said}") from None


class RunConfig(Section):
    policy: Policy
    dataset: Dataset
    rewards: list[RewardTerm] = Field(min_length=1)
    services: Services = Services()
    grpo: dict[str, Any] = Field(default_factory=dict)
    """Any field of TRL's GRPOConfig, under its own name."""
    liveness: Liveness = Liveness()
    imputation: Imputation | None = None
    output: Output = Output()

    @property
    def weights(self) -> dict[str, float]:
        return {term.name: term.weight for term in self.rewards}

    @property
    def target_shares(self) -> dict[str, float]:
        """The terms whose weight follows their share of the advantage."""
        return {term.name: term.target_share for term in self.rewards if term.target_share is not None}

    @property
    def imputed(self) -> str | None:
        """The reward that is imputed, if any is."""
        return (self.imputation.reward or self.rewards[0].name) if self.imputation is not None else None
