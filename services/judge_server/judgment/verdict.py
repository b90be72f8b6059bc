"""What a judge's reply says: a verdict on two answers, or a grade; else why it says none.

The reply is one JSON object, perhaps in a code fence, or the last verdict in its text counts: judges change their
minds. What the material itself says (the judge quotes an answer) is no verdict, in whatever spelling; and never is a
verdict guessed: a text with nothing but quotes, or with something like a second verdict after the last well-formed
one, has none.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from guerdon.judge_messages import Winner
from judge_server.judgment.json_objects import Found, objects
from judge_server.judgment.material import Material
from judge_server.judgment.thoughts import thoughts_end
from judge_server.judgment.utf8 import encodable
from judge_server.judgment.verdict_values import number, winner
from judge_server.llm import CallFailed, Reply

_CODE_FENCE = re.compile(r"(?:`{3,}|~{3,})[a-zA-Z]*")
_REFUSAL = re.compile(
    r"\W*(?:as an ai\b[^.\n]{0,60}\b)?(?:"
    r"(?:i['’]m|i am)\s+(?:really\s+|very\s+|so\s+)?(?:sorry|unable|not able)|sorry\b|i\s+apologi[sz]e|"
    r"i\s+(?:can(?:no|['’])t|can not|won['’]t|will not|must decline|refuse))",
    re.IGNORECASE,
)

Model = TypeVar("Model", bound=BaseModel)


Explanation = Annotated[str, AfterValidator(encodable)]
"""JSON escapes can write what no answer can be sent with."""
Score = Annotated[float, BeforeValidator(number), Field(strict=True, ge=0, le=10, allow_inf_nan=False)]


class Compared(BaseModel):
    """A verdict on two answers, by the letters they were shown under. The winner counts, not the scores."""

    model_config = ConfigDict(hide_input_in_errors=True)

    explanation: Explanation = ""
    score_a: Score
    score_b: Score
    winner: Annotated[Winner, BeforeValidator(winner)]


class Graded(BaseModel):
    """A grade: what each criterion's name maps to."""

    model_config = ConfigDict(hide_input_in_errors=True)

    explanation: Explanation = ""
    scores: dict[str, Score]


def compared(reply: Reply, material: Material) -> tuple[Compared, Found]:
    """Read a verdict on two answers, and where it stands in the text.

    Args:
        material: what the judge was shown; its keys are those of `verdict_values.COMPARED`.

    Raises:
        CallFailed: there is none; its status says why.
    """
    found = _verdict(reply, material)
    return _validated(Compared, found.plain), found


def graded(reply: Reply, material: Material) -> tuple[Graded, Found]:
    """Read a grade, and where it stands in the text.

    Args:
        material: what the judge was shown; its keys are the names of the criteria.

    Raises:
        CallFailed: there is none; its status says why.
    """
    found = _verdict(reply, material)
    plain = found.plain
    scores = {name: plain[name] for name in material.keys}
    return _validated(Graded, {"explanation": plain.get("explanation", ""), "scores": scores}), found


def _verdict(reply: Reply, material: Material) -> Found:
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
    if whole is not None and all(key in whole.values for key in material.keys):
        return whole  # also when the limit was reached with the last brace: nothing is missing
    if reply.finish == "length":
        raise truncated
    return _last(reply.text, every, material)


def _whole(text: str, start: int, every: list[Found]) -> Found | None:
    """Return the object that is all of a text, but for a code fence around it."""
    if len(every) != 1:
        return None
    [found] = every
    before, after = text[start : found.start].strip(), text[found.end :].strip()
    bare = not before and not after
    return found if bare or (_CODE_FENCE.fullmatch(before) and _CODE_FENCE.fullmatch(after or "```")) else None


def _last(text: str, every: list[Found], material: Material) -> Found:
    """Return the last object with a verdict's keys, if nothing speaks against its being the judge's own."""
    keys = material.keys
    quotes, own = list[Found](), list[Found]()
    for found in every:
        (quotes if material.holds(found) else own).append(found)
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
    read = number(value)
    return f"{read:g}" if isinstance(read, float) and math.isfinite(read) else "not finite"
