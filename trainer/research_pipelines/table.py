"""The stages of a pipeline as a table: what is done, what it will run, and what that costs."""

import shlex
from collections.abc import Sequence

from research_pipelines.plan import Plan
from research_pipelines.record import Record
from research_pipelines.stage import Stage


def shown(name: str, plan: Plan, stages: Sequence[Stage], record: Record) -> str:
    width = max(len(stage.name) for stage in stages)
    lines = [f"{name}, size {plan.size}, seeds {', '.join(map(str, plan.seeds))}, in {plan.out}", ""]
    done = record.done(stages)
    for number, stage in enumerate(stages, 1):
        state = f"done in {record.seconds(stage):.0f} s" if number <= done else _needed(stage)
        anew = "anew: " if number > done and record.seconds(stage) is not None else ""
        lines.append(f"{number:>3}  {stage.name:<{width}}  {anew}{state}")
        lines.append(f"     {' ' * width}  guerdon {shlex.join(stage.command)}")
    if calls := sum(stage.calls for stage in stages):
        tokens = sum(stage.tokens for stage in stages)
        lines += ["", f"about {calls:,} calls of models, {tokens:,} tokens in all"]
    return "\n".join(lines)


def _needed(stage: Stage) -> str:
    needs = [word for word, wanted in (("rewards", bool(stage.rewards)), ("judge", stage.judge)) if wanted]
    cost = [f"{stage.calls:,} calls, {stage.tokens:,} tokens"] if stage.calls else []
    return "; ".join([*cost, *([f"needs the {' and '.join(needs)} server"] if needs else [])]) or "to do"
