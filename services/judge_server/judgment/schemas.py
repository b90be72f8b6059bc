"""The JSON schemas of verdicts: the explanation comes first, so that the numbers follow from it."""

from collections.abc import Sequence
from typing import Any

from judge_server.judges import Judge

SCORE = {"type": "integer", "minimum": 0, "maximum": 10}
"""Integers, so that grammars of constrained decoding can bound them and their digits can be read off."""

VERDICT_TOKENS = 64
"""Left for what comes after the explanation."""

LONGEST_EXPLANATION = 1500


def compare_schema(judge: Judge) -> dict[str, Any]:
    """Return the schema of the verdict on two answers."""
    return _closed(judge, {"score_a": SCORE, "score_b": SCORE, "winner": {"type": "string", "enum": ["A", "B", "tie"]}})


def grade_schema(judge: Judge, criteria: Sequence[str]) -> dict[str, Any]:
    """Return the schema of a grade by criteria of these names."""
    return _closed(judge, dict.fromkeys(criteria, SCORE))


def _closed(judge: Judge, properties: dict[str, Any]) -> dict[str, Any]:
    properties = {"explanation": _explanation(judge, len(properties)), **properties}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _explanation(judge: Judge, numbers: int) -> dict[str, Any]:
    """Bound the explanation where the server can: a small model held to a grammar may never close its string.

    The strict schemas of OpenAI refuse maxLength, and their models do not need it.
    """
    if judge.kind != "openai_compatible":
        return {"type": "string"}
    tokens = judge.max_tokens - max(VERDICT_TOKENS, 16 * numbers)
    return {"type": "string", "maxLength": min(LONGEST_EXPLANATION, max(16, int(tokens * judge.chars_per_token)))}
