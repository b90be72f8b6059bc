"""What containers say to one another: the messages of `v1/reward.proto` as pydantic models."""

import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

Status = Literal[
    "ok",
    "timeout",
    "worker_lost",
    "overloaded",
    "model_error",
    "letter_missing",
    "judge_unparseable",
    "judge_truncated",
    "judge_out_of_range",
    "judge_empty",
    "judge_refused",
    "judge_budget",
    "judge_quota",
    "judge_timeout",
    "judge_transport",
    "cohort_incomplete",
    "cancelled",
    "invalid_input",
]
STATUSES: tuple[str, ...] = get_args(Status)

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MAX_GROUP = 4096
"""Completions in one group; far above any group in use, and a bound on what one group can make a server hold."""
MAX_DEADLINE_S = 3600.0
MAX_WAIT_S = 60.0
"""How long one look at a job may wait for it to end."""

Priority = Literal["interactive", "bulk"]
JobState = Literal["queued", "running", "done", "cancelled", "failed"]


class Message(BaseModel):
    """A message of the contract: unknown fields are refused, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        hide_input_in_errors=True,  # the input is somebody's prompts and completions
    )


class ChatMessage(BaseModel):
    """One chat turn. Further keys (`name`, `tool_calls`, …) travel along untouched."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    role: str
    content: str | None = None


Text = str | list[ChatMessage]
"""A plain string, or a list of chat messages."""


class Group(Message):
    """Which group of completions of one prompt an item belongs to."""

    id: Name
    size: int = Field(ge=1, le=MAX_GROUP)
    slot: int = Field(ge=0)

    @model_validator(mode="after")
    def _slot_is_in_the_group(self) -> Self:
        if self.slot >= self.size:
            raise ValueError(f"slot {self.slot} is outside a group of {self.size}; slots count from 0")
        return self


class Item(Message):
    """One completion to score, with what it answers."""

    prompt: Text = ""
    completion: Text
    reference: JsonValue = None
    context: dict[str, JsonValue] = Field(default_factory=dict)
    group: Group | None = None


class ScoreRequest(Message):
    """POST /v1/score: score `items` under each of `rewards`."""

    rewards: list[Name] = Field(min_length=1, max_length=64)
    items: list[Item] = Field(min_length=1)
    run: Name | None = None
    deadline_s: float = Field(default=60.0, gt=0, le=MAX_DEADLINE_S)
    priority: Priority = "interactive"

    @model_validator(mode="after")
    def _no_reward_twice(self) -> Self:
        if len(set(self.rewards)) != len(self.rewards):
            raise ValueError("rewards names one reward more than once")
        return self


class Score(Message):
    """A finite value with status ok, or null with a typed status and a reason. Nothing in between exists."""

    model_config = ConfigDict(frozen=True)

    value: float | None = None
    status: Status = "ok"
    components: dict[str, float | None] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)
    error: str | None = None

    @model_validator(mode="after")
    def _failure_is_never_a_number(self) -> Self:
        if (self.status == "ok") != (self.value is not None):
            raise ValueError(f"status {self.status!r} with value {self.value!r}: only ok carries a value")
        return self

    @classmethod
    def failed(cls, status: Status, error: str) -> Self:
        """Return a score that says what went wrong; `status` is anything but ok."""
        return cls(value=None, status=status, error=error)

    @property
    def ok(self) -> bool:
        return self.value is not None and math.isfinite(self.value)


class RewardScores(Message):
    """The scores of one reward: as many as the request's items and in their order."""

    reward: str
    version: str
    scores: list[Score]


class Usage(Message):
    """What a request cost."""

    items: int = 0
    cached: int = 0
    model_tokens: int = 0


class ScoreResponse(Message):
    """The answer to a ScoreRequest, one entry per reward in the order asked for."""

    rewards: list[RewardScores]
    usage: Usage = Field(default_factory=Usage)


class Job(Message):
    """A ScoreRequest that is worked on without its caller waiting. `response` is there exactly when it is done.

    Attributes:
        id: 32 hex digits, under /v1/jobs.
        created, deadline: Unix time.
        expires: Unix time from which the job is forgotten; null while it is queued or running.
        error: why it failed.
    """

    id: str
    state: JobState
    created: float
    deadline: float
    expires: float | None = None
    response: ScoreResponse | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        return self.state not in {"queued", "running"}


class Range(Message):
    """Bounds of a value (null: unbounded) and which end is better (null: neither, a diagnostic)."""

    low: float | None = None
    high: float | None = None
    better: Literal["higher", "lower"] | None = None


class RewardInfo(Message):
    """One served reward, as GET /v1/rewards describes it."""

    name: str
    kind: str
    description: str
    scope: Literal["item", "group"]
    runs: Literal["inline", "worker"]
    reads: list[str]
    needs: list[str]
    range: Range
    components: dict[str, Range]
    version: str
    settings: dict[str, Any]
    settings_schema: dict[str, Any]


class RewardList(Message):
    """GET /v1/rewards."""

    rewards: list[RewardInfo]


class Readiness(Message):
    """GET /readyz: ready when Redis answers, replies are collected, and it is neither full nor draining."""

    ready: bool
    redis: bool
    replies: bool
    draining: bool
    backlog: int
    workers: dict[str, int]
    workers_otherwise: dict[str, int] = Field(default_factory=dict)


class FieldProblem(Message):
    """What is wrong with one field of a request."""

    field: str
    problem: str


class Refusal(Message):
    """The body of every 4xx and 5xx answer: what was wrong and what would have worked."""

    error: str
    fields: list[FieldProblem] = Field(default_factory=list)
