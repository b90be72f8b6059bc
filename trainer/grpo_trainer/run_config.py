"""What a run file may say: every section, key, type and default of `guerdon train RUN.toml`."""

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


class Services(Section):
    reward_url: Text = "http://127.0.0.1:8000"
    token_env: Text | None = None
    """The environment variable that holds the reward server's token (GUERDON_REWARD_TOKEN where omitted)."""
    deadline_s: float = Field(default=120.0, gt=0, le=3600)
    """How long one step waits for its scores."""
    max_failed_share: float = Field(default=0.5, ge=0, le=1)
    """End the run when more than this share of a step's completions has no score; 1 goes on whatever fails."""


class Output(Section):
    dir: Text = "runs/{name}-{time}"
    """Where the run writes; `{name}` is the run file's name and `{time}` its start."""
    merged: bool = False
    """Also save the policy with its adapter merged in, for servers that load no adapters."""


class RunConfig(Section):
    policy: Policy
    dataset: Dataset
    rewards: list[RewardTerm] = Field(min_length=1)
    services: Services = Services()
    grpo: dict[str, Any] = Field(default_factory=dict)
    """Any field of TRL's GRPOConfig, under its own name."""
    output: Output = Output()

    @property
    def weights(self) -> dict[str, float]:
        return {term.name: term.weight for term in self.rewards}
