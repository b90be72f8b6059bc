"""What an evaluation cost, over all its runs, as the judge server's books have it."""

from typing import Any

from guerdon.judge_messages import Budget


def spending(budget: Budget | None, calls: int) -> dict[str, Any]:
    """Return tokens and money; null with a reason where the judge server kept no account.

    What is presumed for calls that were cut off is not in it: it tells of how often a run was interrupted, not of what
    was found. `presumed` says it.

    Args:
        calls: verdicts that were asked for, from the ledger or not.
    """
    if budget is None:
        return {"calls": calls, "cost": None, "tokens": None, "reason": "the judge server kept no account of this run"}
    return {
        "calls": calls,
        "currency": budget.currency,
        "cost": budget.spent_cost,
        "tokens": budget.spent_tokens,
    }


def presumed(budget: Budget | None) -> str | None:
    """Return what calls that were sent and never answered may have cost beside that, if there were any."""
    if budget is None or not budget.presumed_tokens:
        return None
    return (
        f"Calls that were cut off may have cost up to {budget.presumed_cost:.4f} {budget.currency} and "
        f"{budget.presumed_tokens} tokens more."
    )
