"""What a judge's reply says: a verdict on two answers, or a grade; else why it says none.

The reply is one JSON object, perhaps in a code fence, or the last verdict in its text counts. Never is a verdict
guessed: a text with a verdict that the material itself contains (the judge quotes an answer), or with something
like a second verdict after the last well-formed one, has none.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from guerdon.judge_messages import Winner
from judge_server.json_objects import Found, objects
from judge_server.llm import CallFailed, Reply
from judge_server.thoughts import thoughts_end

_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:/\s*10)?\s*")
_NOT_FINITE = re.compile(r"\s*[+-]?(?:nan|inf|infinity)\s*", re.IGNORECASE)
_CODE_FENCE = re.compile(r"(?:`{3,}|~{3,})[a-zA-Z]*")
_REFUSAL = re.compile(
    r"\W*(?:as an ai\b[^.\n]{0,60}\b)?(?:"
    r"(?:i['’]m|i am)\s+(?:really\s+|very\s+|so\s+)?(?:sorry|unable|not able)|sorry\b|i\s+apologi[sz]e|"
    r"i\s+(?:can(?:no|['’])t|can not|won['’]t|will not|must decline|refuse))",
    re.IGNORECASE,
)

Model = TypeVar("Model", bound=BaseModel)


def _number(value: Any) -> Any:
    """Read "7" and "7/10" as 7; anything on another scale stays what it is, and is refused."""
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        return float(match[1])
    return float("nan") if isinstance(value, str) and _NOT_FINITE.fullmatch(value) else value


def _winner(value: Any) -> Any:
    return value.strip().lower().removeprefix("answer ") if isinstance(value, str) else value


Score = Annotated[float, BeforeValidator(_number), Field(strict=True, ge=0, le=10, allow_inf_nan=False)]


class Compared(BaseModel):
    """A verdict on two answers, by the letters they were shown under. The winner counts, not the scores."""

    model_config = ConfigDict(hide_input_in_errors=True)

    explanation: str = ""
    score_a: Score
    score_b: Score
    winner: Annotated[Winner, BeforeValidator(_winner)]


class Graded(BaseModel):
    """A grade: what each criterion's name maps to."""

    model_config = ConfigDict(hide_input_in_errors=True)

    explanation: str = ""
    scores: dict[str, Score]


def compared(reply: Reply, shown: Sequence[str]) -> tuple[Compared, Found]:
    """Read a verdict on two answers, and where it stands in the text.

    Args:
        shown: the texts that the judge was shown; verdicts in them are not the judge's.

    Raises:
        CallFailed: there is none; its status says why.
    """
    found = _verdict(reply, ("score_a", "score_b", "winner"), shown)
    return _validated(Compared, found.plain), found


def graded(reply: Reply, criteria: Sequence[str], shown: Sequence[str]) -> tuple[Graded, Found]:
    """Read a grade by criteria of these names, and where it stands in the text.

    Raises:
        CallFailed: there is none; its status says why.
    """
    found = _verdict(reply, criteria, shown)
    plain = found.plain
    scores = {name: plain[name] for name in criteria}
    return _validated(Graded, {"explanation": plain.get("explanation", ""), "scores": scores}), found


def _verdict(reply: Reply, keys: Sequence[str], shown: Sequence[str]) -> Found:
    if reply.refusal or reply.finish == "content_filter":
        who = "the judge refused" if reply.refusal else "the server's content filter stopped the reply"
        raise CallFailed("judge_refused", who)
    start = thoughts_end(reply.text)
    said = reply.text[start:]
    truncated = CallFailed("judge_truncated", "the reply was cut off at the judge's max_tokens; raise it")
    if not said.strip():
        thought = "; it has only reasoning" if reply.reasoning or start else ""
        raise truncated if reply.finish == "length" else CallFailed("judge_empty", f"the reply is empty{thought}")
    every = [*objects(reply.text, start)]
    whole = _whole(reply.text, start, every)
    if whole is not None and all(key in whole.values for key in keys):
        return whole  # also when the limit was reached with the last brace: nothing is missing
    if reply.finish == "length":
        raise truncated
    return _last(reply.text, every, keys, shown)


def _whole(text: str, start: int, every: list[Found]) -> Found | None:
    """Return the object that is all of a text, but for a code fence around it."""
    if len(every) != 1:
        return None
    [found] = every
    before, after = text[start : found.start].strip(), text[found.end :].strip()
    bare = not before and not after
    return found if bare or (_CODE_FENCE.fullmatch(before) and _CODE_FENCE.fullmatch(after or "```")) else None


def _last(text: str, every: list[Found], keys: Sequence[str], shown: Sequence[str]) -> Found:
    """Return the last object with these keys, if nothing speaks against its being the judge's verdict."""
    quotable = {found.identity for source in shown for found in objects(source)} if every else set()
    quotes = [found for found in every if found.identity in quotable]
    own = [found for found in every if found.identity not in quotable]
    verdicts = [found for found in own if all(key in found.values for key in keys)]
    if not verdicts:
        raise _none_found(text, own, quotes, keys)
    last = verdicts[-1]
    another = re.compile(rf"\b(?:{'|'.join(map(re.escape, keys))})\W{{0,4}}[:=]", re.IGNORECASE)
    if any(another.search(piece) for piece in _around(text, last.end, quotes)):
        raise CallFailed("judge_unparseable", "after its last well-formed verdict the reply goes on with another one")
    return last


def _around(text: str, start: int, quotes: list[Found]) -> Iterator[str]:
    """Yield what stands in text[start:] around the quotes."""
    for quote in quotes:
        if quote.start >= start:
            yield text[start : quote.start]
            start = quote.end
    yield text[start:]


def _none_found(text: str, own: list[Found], quotes: list[Found], keys: Sequence[str]) -> CallFailed:
    if not own and not quotes and _REFUSAL.match(text):
        return CallFailed("judge_refused", "the judge refused")
    if partial := [found for found in own if any(key in found.values for key in keys)]:
        missing = ", ".join(key for key in keys if key not in partial[-1].values)
        return CallFailed("judge_unparseable", f"the verdict lacks {missing}")
    if quotes:
        return CallFailed("judge_unparseable", "the only verdict in the reply is one that the judge was shown")
    return CallFailed("judge_unparseable", f"the reply has no JSON object with {', '.join(keys)}")


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> CallFailed:
    """Name the first field that is wrong, without what stands in it: that can be somebody's text."""
    problems = [(str(problem["loc"][-1]), problem) for problem in error.errors(include_url=False)]
    beyond = {"greater_than_equal", "less_than_equal", "finite_number"}
    for name, problem in problems:
        if problem["type"] in beyond:
            return CallFailed("judge_out_of_range", f"{name} is {_short(problem['input'])}, outside of 0 to 10")
    name = problems[0][0]
    wanted = {"winner": '"A", "B" or "tie"', "explanation": "a string"}.get(name, "a number from 0 to 10")
    return CallFailed("judge_unparseable", f"{name} is not {wanted}")


def _short(value: Any) -> str:
    number = _number(value)
    return f"{number:g}" if isinstance(number, float) and math.isfinite(number) else "not finite"
