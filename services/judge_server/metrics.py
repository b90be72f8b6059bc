"""What Prometheus can ask the judge server. Labels are names from judges.toml and words of ours, never of a request."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from guerdon.judge_messages import Budget
from judge_server.llm import Outcome

SECONDS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)

OWED = Gauge("guerdon_judge_owed_calls", "Calls to judges that admitted requests still need, at the most")
CALLS = Counter("guerdon_judge_calls_total", "Calls by judge and what became of them", ["judge", "status"])
ATTEMPTS = Counter("guerdon_judge_attempts_total", "Calls that were sent, each attempt counted", ["judge"])
CACHED = Counter("guerdon_judge_cached_total", "Calls that the ledger answered", ["judge"])
CALL_SECONDS = Histogram("guerdon_judge_seconds", "Time of one call, with its waits", ["judge"], buckets=SECONDS)
TOKENS = Counter("guerdon_judge_tokens_total", "Tokens by kind: prompt, completion", ["judge", "kind"])
COST = Counter("guerdon_judge_cost_total", "Money, in the judge's currency", ["judge", "currency"])
LEFT_COST = Gauge("guerdon_judge_budget_left", "What a judge may still spend", ["judge", "currency"])
LEFT_TOKENS = Gauge("guerdon_judge_budget_left_tokens", "Tokens that a judge may still spend", ["judge"])


def observe_call(judge: str, currency: str, outcome: Outcome[Any], seconds: float) -> None:
    """Count one call; the time of one that the ledger answered says nothing about the judge."""
    CALLS.labels(judge, "ok" if outcome.failure is None else outcome.failure.status).inc()
    if outcome.cached:
        CACHED.labels(judge).inc()
        return
    CALL_SECONDS.labels(judge).observe(seconds)
    ATTEMPTS.labels(judge).inc(outcome.attempts)
    TOKENS.labels(judge, "prompt").inc(outcome.prompt_tokens)
    TOKENS.labels(judge, "completion").inc(outcome.completion_tokens)
    COST.labels(judge, currency).inc(outcome.cost)


def show_budgets(budgets: Iterable[Budget]) -> None:
    """Set what is left of budgets; where there is no limit, there is nothing to show."""
    for budget in budgets:
        if budget.left_cost is not None:
            LEFT_COST.labels(budget.judge, budget.currency).set(budget.left_cost)
        if budget.left_tokens is not None:
            LEFT_TOKENS.labels(budget.judge).set(budget.left_tokens)
