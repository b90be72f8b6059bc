"""The rows of a step, and what is said of them where a part of the rewards was imputed."""

from typing import Any

from grpo_trainer.teaching import rollout
from guerdon.messages import Group, Item, RewardInfo, RewardScores, Score
from guerdon.step_scores import StepScores
from guerdon.trl import NOT_ASKED

DEAR = RewardInfo.model_validate(
    {
        "name": "dear",
        "kind": "dear",
        "description": "of 0 to 1",
        "scope": "item",
        "runs": "inline",
        "reads": [],
        "needs": [],
        "range": {"low": 0, "high": 1},
        "components": {},
        "version": "1",
        "settings": {},
        "settings_schema": {},
    }
)
LOST = Score.failed("timeout", "too slow")


def scores(**columns: list[Score]) -> StepScores:
    items = [Item(completion="c", group=Group(id="g", size=4, slot=slot)) for slot in range(4)]
    asked = {name: [score is not NOT_ASKED for score in column] for name, column in columns.items()}
    served = [RewardScores(reward=name, version="1", scores=column) for name, column in columns.items()]
    return StepScores(dict.fromkeys(columns, 2.0), items, served, 0.1, asked)


def test_the_error_of_a_row_is_that_of_the_failure_its_status_names() -> None:
    """The imputed reward is first, and not asked for everyone: that is no error, and hides none."""
    good = Score(value=0.5)
    step = scores(dear=[NOT_ASKED, NOT_ASKED, LOST, good], cheap=[LOST, good, good, good])
    found = [(row["status"], row["error"]) for row in rollout.rows(step, [0.0] * 4, [3] * 4)]
    assert found == [("cheap: timeout", "too slow"), ("ok", None), ("dear: timeout", "too slow"), ("ok", None)]


def test_a_share_at_the_ceiling_is_of_what_was_scored_and_never_of_what_was_imputed() -> None:
    """The correction spreads imputed rewards beyond the range that the reward itself has."""
    step = scores(dear=[Score(value=0.2), Score(value=1.0), NOT_ASKED, NOT_ASKED])
    rows: list[dict[str, Any]] = rollout.rows(step, [0.0] * 4, [3] * 4)
    for row, used in zip(rows, (-0.9, 3.1, 2.4, 2.2), strict=True):
        row["imputed/dear"] = used
    found = rollout.record(rows, {"dear": DEAR}, {"dear": 2.0}, scaled=True)
    assert found["ceiling_share"] == 1 / 2
    assert found["reward"]["max"] == 3.1  # what was trained on is said as it is
