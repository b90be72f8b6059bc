"""How long the stages to come will take, as far as stages of the same kind that are done here tell."""

from collections.abc import Callable, Sequence

from research_pipelines.stage import Stage


def said(done: Sequence[Stage], to_come: Sequence[Stage], seconds: Callable[[Stage], float | None]) -> str:
    """Return it as a line; nothing where no stage to come has its like among those done.

    Alike are stages of the same command with the same calls to expect, e.g. the trainings of two seeds; of several the
    slowest counts, since one that was interrupted is timed from where it went on.
    """
    took: dict[tuple[object, ...], float] = {}
    for stage in done:
        took[_kind(stage)] = max(took.get(_kind(stage), 0.0), seconds(stage) or 0.0)
    known = [took[_kind(stage)] for stage in to_come if stage.calls and _kind(stage) in took]
    if not known:
        return ""
    rest = len(to_come) - len(known)
    unknown = f"; nothing done here tells how long the other {rest} take" if rest else ""
    return f"about {max(1, round(sum(known) / 60))} min for {len(known)} of the {len(to_come)} stages to come{unknown}"


def _kind(stage: Stage) -> tuple[object, ...]:
    return stage.command[:2], stage.calls, stage.tokens
