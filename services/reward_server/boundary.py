"""Run a kind on items so that one bad item fails alone and no failure becomes a number."""

import base64
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from guerdon.messages import Score
from reward_server.rewards import Encoder, Item, Kind, Reward, Scope, Writer

Outcome = dict[str, Any]
"""What a worker sends back for one item: {"status": "ok", "value"|"vector": …} or {"status", "error"}."""

Trouble = Callable[[Exception], None]


def ignored(error: Exception) -> None:
    """Do nothing about an error."""


In = TypeVar("In")
Out = TypeVar("Out")


def scored(reward: Reward, items: list[Item], scope: Scope | None = None, trouble: Trouble = ignored) -> list[Score]:
    """Score items, or one whole group of them; as many scores as items, whatever the reward does.

    A failing batch is bisected, so that only the guilty item fails. A group cannot be: it fails as one, and `trouble`
    hears why.
    """
    run = _scores(reward)
    if (scope or reward.scope) == "item":
        return [_checked(value) for value in isolated(run, items, failure)]
    try:
        return [_checked(value) for value in run(items)]
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a reward raises gets a name here
        trouble(error)
        return [failure(error) for _ in items]


def outcomes(kind: Kind, items: list[Item], trouble: Trouble = ignored) -> list[Outcome]:
    """Run a worker's kind on a batch of items of many callers; one outcome per item."""
    if isinstance(kind, Encoder):
        return isolated(lambda some: _vectors(kind, some), items, _failed, trouble)
    if isinstance(kind, Writer):
        return isolated(lambda some: _texts(kind, some), items, _failed, trouble)
    assert isinstance(kind, Reward)
    return [_outcome(value) for value in isolated(_scores(kind), items, failure, trouble)]


def group_outcomes(reward: Reward, groups: list[list[Item]], trouble: Trouble = ignored) -> list[Outcome]:
    """Run a worker's group reward on whole groups, each by itself; one outcome per group, with one per member."""
    found = [scored(reward, group, "group", trouble) for group in groups]
    return [{"status": "ok", "members": [_outcome(score) for score in scores]} for scores in found]


def out_of_memory(error: BaseException) -> bool:
    """Whether less at once might work. torch raises its own error on GPUs and a plain RuntimeError on CPUs."""
    named = type(error).__name__ == "OutOfMemoryError"
    return named or isinstance(error, MemoryError) or "can't allocate memory" in str(error).lower()


def _scores(reward: Reward) -> Callable[[list[Item]], list[float | Score]]:
    return lambda items: list(_full(reward.score(items), len(items)))


def isolated(
    run: Callable[[list[In]], list[Out]],
    items: list[In],
    failed: Callable[[Exception], Out],
    trouble: Trouble = ignored,
) -> list[Out]:
    """Run on all items at once; when that raises, on each half, down to the items that raise by themselves.

    `trouble` hears of every error of a batch that is about to be halved.
    """
    try:
        return run(items)
    except Exception as error:  # noqa: BLE001 - the boundary
        if len(items) <= 1:
            return [failed(error) for _ in items]
        trouble(error)
    half = len(items) // 2  # outside the handler: its traceback keeps the failed call's tensors alive
    return isolated(run, items[:half], failed, trouble) + isolated(run, items[half:], failed, trouble)


def failure(error: BaseException) -> Score:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody's exception that cannot say what it is
        text = "its message cannot be read"
    return Score.failed("model_error", _encodable(f"{type(error).__name__}: {text}"[:500]))


def _encodable(text: str) -> str:
    """Return text that can be written as JSON: without halves of surrogate pairs."""
    return text.encode(errors="replace").decode()


def _full(values: Sequence[Out], expected: int) -> Sequence[Out]:
    if len(values) != expected:
        raise ValueError(f"the reward returned {len(values)} scores for {expected} items")
    return values


def _checked(value: float | Score) -> Score:
    if isinstance(value, Score):
        return value if _sound(value) else Score.failed("model_error", "its value or a component is no finite number")
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - a tensor of two, an integer of 400 digits: what is no number raises as it likes
        return Score.failed("model_error", f"the reward returned {type(value).__name__}, which is no number")
    if not math.isfinite(number):
        return Score.failed("model_error", f"the reward returned {number}, which is not finite")
    return Score(value=number)


def _sound(score: Score) -> bool:
    """Whether a score is what it was validated to be; components are a plain dict, which anybody can change."""
    numbers = [number for number in score.components.values() if number is not None]
    plain = all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
    return plain and (score.status == "ok") == score.ok


def _vectors(encoder: Encoder, items: list[Item]) -> list[Outcome]:
    vectors = list(encoder.embed([item.completion for item in items]))
    return [_encoded(vector) for vector in _full(vectors, len(items))]


def _texts(writer: Writer, items: list[Item]) -> list[Outcome]:
    return [_written(text) for text in _full(list(writer.write(items)), len(items))]


def _written(text: Any) -> Outcome:
    if not isinstance(text, str):
        return _outcome(Score.failed("model_error", f"the writer returned {type(text).__name__}, which is no text"))
    if text != _encodable(text):
        return _outcome(Score.failed("model_error", "the writer returned half a surrogate pair, which is no text"))
    return {"status": "ok", "text": text}


def _failed(error: Exception) -> Outcome:
    return _outcome(failure(error))


def _encoded(vector: Any) -> Outcome:
    if not math.isfinite(float(vector @ vector)):
        return _outcome(Score.failed("model_error", "the embedding is not finite"))
    return {"status": "ok", "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}


def _outcome(value: float | Score) -> Outcome:
    if type(value) is float and math.isfinite(value):  # the common case, without a round through the model
        return {"status": "ok", "value": value}
    try:
        score = _checked(value)
        outcome = score.model_dump(exclude_defaults=True) | {"status": score.status}
        orjson.dumps(outcome)
    except Exception as error:  # noqa: BLE001 - components and notes are plain dicts, which anybody can fill
        return {"status": "model_error", "error": f"the score cannot be sent: {type(error).__name__}"}
    return outcome
