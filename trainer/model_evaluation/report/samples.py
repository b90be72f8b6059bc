"""Every prompt of a comparison with its answers and verdicts: what a reader looks at to believe the numbers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Answers
from model_evaluation.judging import Judged
from model_evaluation.prompts import Prompt

Record = dict[str, Any]


def samples(prompts: Sequence[Prompt], answers: Sequence[Answers], games: Sequence[Judged]) -> list[Record]:
    """Return one record a prompt, in the prompts' order, as plain JSON."""
    said: dict[str, dict[str, Completion]] = defaultdict(dict)
    for some in answers:
        for one in some.completions:
            said[one.prompt_id][some.contestant.name] = one
    judged: dict[str, list[Judged]] = defaultdict(list)
    for game in games:
        judged[game.prompt.id].append(game)
    return [_sample(prompt, said[prompt.id], judged[prompt.id]) for prompt in prompts]


def _sample(prompt: Prompt, said: Mapping[str, Completion], games: Sequence[Judged]) -> Record:
    return {
        "id": prompt.id,
        "prompt": prompt.wire,
        "reference": prompt.reference,
        "answers": [
            {
                "model": name,
                "text": one.text,
                "characters": one.length,
                "finish": one.finish,
                "status": one.status,
                "error": one.error,
            }
            for name, one in said.items()
        ],
        "verdicts": [_verdict(game) for game in games],
    }


def _verdict(game: Judged) -> Record:
    """Return a verdict without what depends on when it was asked: tokens, money, whether the ledger had it."""
    outcome = game.outcome
    record: Record = {
        "model_a": game.model_a,
        "model_b": game.model_b,
        "winner": outcome.winner,
        "status": outcome.status,
        "score_a": outcome.score_a,
        "score_b": outcome.score_b,
    }
    if game.verdict is None:
        return record | {"mode": None, "error": None, "explanation": "", "orders": []}
    dropped = {"cached", "cost", "prompt_tokens", "completion_tokens"}
    orders = [one.model_dump(mode="json", exclude=dropped) for one in game.verdict.orders]
    told = {"mode": game.verdict.mode, "error": game.verdict.error, "explanation": game.verdict.explanation}
    return record | told | {"p_a": game.verdict.p_a, "orders": orders}
