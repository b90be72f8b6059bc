"""What is said to and by the judge server: the messages of `v1/judge.proto` as pydantic models."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from guerdon.messages import MAX_DEADLINE_S, Message, Name, Status, Text

Said = TypeVar("Said", bound=Message)
Winner = Literal["a", "b", "tie"]
Side = Literal["a", "b"]
Orders = Literal["both", "ab", "ba"]
Reconciliation = Literal["agree", "average", "logit"]
CompareMode = Literal["verdict", "logprobs", "identical", "empty"]
GradeMode = Literal["verdict", "logprobs", "empty"]
Criteria = Annotated[str, StringConstraints(min_length=1, max_length=8000)]
CriterionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

Run = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name of a run: what it spends is booked under it, in databases that hold no control characters."""

MAX_COST = 1e6
MAX_TOKENS = 2**53
"""Allowances that can be counted exactly, in billionths of the currency and in JSON numbers."""
MAX_SAMPLES = 32
MAX_JUDGMENTS = 1024
"""Comparisons or answers in one request."""


def only_ok_carries(field: Literal["winner", "score"]) -> Callable[[Said], Said]:
    """Return the check that status ok has a winner or score, and no other status has one."""

    def check(said: Said) -> Said:
        fields: dict[str, Any] = vars(said)
        status, value = fields["status"], fields[field]
        if (status == "ok") != (value is not None):
            raise ValueError(f"status {status!r} with {field} {value!r}: only ok carries a {field}")
        return said

    return check


class Allowance(Message):
    """What a run may spend in all, from its first request on; null: no limit of its own.

    Attributes:
        cost: in the judge's currency, at most a million.
        tokens: prompt and completion tokens together, at most 2^53.
    """

    cost: float | None = Field(default=None, ge=0, le=MAX_COST)
    tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)


class Comparison(Message):
    """Two answers to one prompt."""

    prompt: Text
    answer_a: str
    answer_b: str
    reference: str | None = None
    criteria: Criteria | None = None


class CompareRequest(Message):
    """POST /v1/compare: which of two answers is better, for a list of comparisons.

    Attributes:
        judge: one of GET /v1/judges; null: the server's default.
        orders: whether each pair is shown both ways, or in one order only (a biased figure).
        reconcile: how both orders become one verdict: agree (both the same, else tie), average (of scores or of
            p_a), logit (mean of the log-odds of p_a).
        samples: how often each order is judged.
        strip_think: cut think sections out of the answers before they are shown.
    """

    comparisons: list[Comparison] = Field(min_length=1, max_length=MAX_JUDGMENTS)
    judge: Name | None = None
    orders: Orders = "both"
    reconcile: Reconciliation = "agree"
    samples: int = Field(default=1, ge=1, le=MAX_SAMPLES)
    strip_think: bool = True
    run: Run | None = None
    allowance: Allowance | None = None
    deadline_s: float = Field(default=300.0, gt=0, le=MAX_DEADLINE_S)


class OrderVerdict(Message):
    """What one call said, already mapped back to the contestants: `first` is whose answer was shown first.

    Attributes:
        sample: which of the request's samples, from 0.
        score_a, score_b: 0 to 10.
        p_a: probability that a is better, from the log-probabilities of the verdict token; null without them.
        reply: the judge's raw words; null when none came.
        prompt_tokens, completion_tokens, cost: of this call, all its attempts together; zero for a cached one.
    """

    first: Side
    sample: int = 0
    winner: Winner | None = None
    status: Status = "ok"
    error: str | None = None
    score_a: float | None = None
    score_b: float | None = None
    p_a: float | None = None
    explanation: str = ""
    reply: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cached: bool = False

    _failure_is_never_a_verdict = model_validator(mode="after")(only_ok_carries("winner"))


class Verdict(Message):
    """The outcome of one comparison. Incomplete (a failed order) is null with a typed status, never a tie.

    Attributes:
        mode: what it rests on: the words of the verdict, its log-probabilities, or no call at all because the
            answers are identical or one is empty.
        reconcile: the rule that was used.
        orders: every call's own verdict; empty when none was needed.
    """

    winner: Winner | None = None
    status: Status = "ok"
    error: str | None = None
    score_a: float | None = None
    score_b: float | None = None
    p_a: float | None = None
    mode: CompareMode = "verdict"
    reconcile: Reconciliation = "agree"
    explanation: str = ""
    orders: list[OrderVerdict] = Field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cached: bool = False

    _incomplete_is_never_a_tie = model_validator(mode="after")(only_ok_carries("winner"))


class JudgeUsage(Message):
    """What a request cost: calls that were sent (attempts too), those answered from the ledger, tokens, money."""

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class CompareResponse(Message):
    """The answer to a CompareRequest: as many verdicts as comparisons, in their order."""

    judge: str
    model: str
    prompt_version: str
    verdicts: list[Verdict]
    usage: JudgeUsage = Field(default_factory=JudgeUsage)


class Criterion(Message):
    """One thing that answers are graded by; the overall score is the weighted mean."""

    name: CriterionName
    description: Criteria
    weight: float = Field(default=1.0, gt=0, le=1000)


class GradedAnswer(Message):
    """One answer to grade."""

    prompt: Text
    answer: str
    reference: str | None = None


class GradeRequest(Message):
    """POST /v1/grade: a score from 0 to 10 against criteria, for a list of answers.

    Attributes:
        criteria: without any, one: the overall quality of the answer.
        samples: calls per answer; its score is their mean.
        expectation: score by the expectation over the log-probabilities of the verdict, where the judge has them.
    """

    answers: list[GradedAnswer] = Field(min_length=1, max_length=MAX_JUDGMENTS)
    judge: Name | None = None
    criteria: list[Criterion] = Field(default_factory=list, max_length=20)
    samples: int = Field(default=1, ge=1, le=MAX_SAMPLES)
    expectation: bool = False
    strip_think: bool = True
    run: Run | None = None
    allowance: Allowance | None = None
    deadline_s: float = Field(default=300.0, gt=0, le=MAX_DEADLINE_S)

    @model_validator(mode="after")
    def _no_criterion_twice(self) -> Self:
        names = {criterion.name for criterion in self.criteria}
        if len(names) != len(self.criteria):
            raise ValueError("criteria names one criterion more than once")
        if "explanation" in names:
            raise ValueError("a criterion cannot be named explanation: that is where the judge gives its reasons")
        return self


class GradeSample(Message):
    """What one call said of an answer: `criteria` maps each criterion's name to 0 to 10."""

    score: float | None = None
    status: Status = "ok"
    error: str | None = None
    criteria: dict[str, float] = Field(default_factory=dict)
    explanation: str = ""
    reply: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cached: bool = False

    _failure_is_never_a_number = model_validator(mode="after")(only_ok_carries("score"))


class Grade(Message):
    """The score of one answer: the mean over its samples; null with a typed status when one of them failed.

    Attributes:
        mode: what it rests on: the numbers of the verdict, their log-probabilities, or no call at all because the
            answer is empty (which scores 0).
    """

    score: float | None = None
    status: Status = "ok"
    error: str | None = None
    criteria: dict[str, float] = Field(default_factory=dict)
    mode: GradeMode = "verdict"
    explanation: str = ""
    samples: list[GradeSample] = Field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cached: bool = False

    _failure_is_never_a_number = model_validator(mode="after")(only_ok_carries("score"))


class GradeResponse(Message):
    """The answer to a GradeRequest: as many grades as answers, in their order."""

    judge: str
    model: str
    prompt_version: str
    grades: list[Grade]
    usage: JudgeUsage = Field(default_factory=JudgeUsage)


class JudgeInfo(Message):
    """One configured judge, as GET /v1/judges describes it.

    Attributes:
        version: of where it is asked and how: address, model, parameters.
        available: whether it can be asked; `problem` says what is missing (which variable, which file).
        warning: why its verdicts are not to be believed, e.g. a stand-in for wiring.
        structured: whether replies are constrained to a JSON schema.
        logprobs: whether verdicts come with log-probabilities.
        prompt_price, completion_price: per million tokens, in `currency`.
        rpm, tpm: requests and tokens a minute, shared by all replicas; null: no limit.
    """

    name: str
    kind: str
    model: str
    version: str
    default: bool = False
    available: bool = True
    problem: str | None = None
    warning: str | None = None
    structured: bool = False
    logprobs: bool = False
    currency: str = "USD"
    prompt_price: float = 0.0
    completion_price: float = 0.0
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int = 1
    prompt_version: str


class JudgeList(Message):
    """GET /v1/judges."""

    judges: list[JudgeInfo]


class Budget(Message):
    """What a judge, or one run with it, has spent and may still spend.

    Attributes:
        run: null: all runs together, against the judge's own limit.
        spent: booked from the usage that servers reported.
        presumed: booked for calls that were sent and whose usage is not known (timeouts, resets, crashes), at the
            most they can have cost.
        reserved: held for calls under way.
        left: null: there is no limit.
    """

    judge: str
    run: str | None = None
    currency: str = "USD"
    limit_cost: float | None = None
    spent_cost: float = 0.0
    presumed_cost: float = 0.0
    reserved_cost: float = 0.0
    left_cost: float | None = None
    limit_tokens: int | None = None
    spent_tokens: int = 0
    presumed_tokens: int = 0
    reserved_tokens: int = 0
    left_tokens: int | None = None


class BudgetList(Message):
    """GET /v1/budget: of every judge; with ?run=, of that run with every judge."""

    budgets: list[Budget]


class JudgeReadiness(Message):
    """GET /readyz of the judge server: ready when ledger and Redis answer and it is neither full nor draining.

    Attributes:
        redis: null: none is configured.
        calls: to judges, waiting or under way.
    """

    ready: bool
    ledger: bool
    redis: bool | None = None
    draining: bool
    calls: int
