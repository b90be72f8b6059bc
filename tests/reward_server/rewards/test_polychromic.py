import random
from typing import Any

import numpy as np
import pytest

from guerdon.messages import Score
from reward_server.rewards import Item
from reward_server.rewards.polychromic import Polychromic

CORRECT = [1.0, 1, 1, 1, 1, 0, 0, 0]


def polychromic(**settings: Any) -> Polychromic:
    return Polychromic.model_validate({"quality": "q", "clusters": "labels", **settings})


def item(quality: float | Score, cluster: object = None, completion: str = "an answer") -> Item:
    score = quality if isinstance(quality, Score) else Score(value=quality)
    return Item("", completion, context={"cluster": cluster}, scores={"q": score})


def group(labels: str, qualities: list[float] = CORRECT) -> list[Item]:
    return [item(quality, label) for quality, label in zip(qualities, labels, strict=True)]


@pytest.mark.parametrize(
    ("labels", "subset", "expected"),
    [
        ("AAAAABCD", 2, [0.0536] * 5 + [-0.0893] * 3),
        ("AAAAABCD", 4, [0.0] * 8),
        ("AAAAABCD", 6, [-0.0020] * 5 + [0.0033] * 3),
        ("AAAABCDE", 4, [-0.0036] * 4 + [0.0839] + [-0.0232] * 3),
    ],
)
def test_the_value_is_the_advantage_over_all_subsets(labels: str, subset: int, expected: list[float]) -> None:
    scores = polychromic(subset=subset).score(group(labels))
    assert [score.value for score in scores] == pytest.approx(expected, abs=5e-5)
    assert all("sums to zero" in score.notes["value"] for score in scores)


@pytest.mark.parametrize(("subset", "flipped", "no_signal"), [(2, 0, 0), (4, None, 1), (6, 1, 0)])
def test_an_advantage_against_quality_and_one_that_is_nothing_are_reported(
    subset: int, flipped: float | None, no_signal: float
) -> None:
    for score in polychromic(subset=subset).score(group("AAAAABCD")):
        assert (score.components["flipped"], score.components["no_signal"]) == (flipped, no_signal)
        assert ("flipped" in score.notes) == (flipped is None)


def test_the_components_say_what_the_value_is_made_of() -> None:
    scores = polychromic().score(group("AAAABCDE"))
    assert scores[0].components == {
        "quality": 1,
        "diversity": 0.5,
        "cluster_size": 4,
        "degenerate": 0,
        "distinct": 5 / 8,
        "flipped": 0,
        "no_signal": 0,
    }
    assert scores[4].components["diversity"] == 7 / 8


def test_darling_shifts_quality_so_that_a_negative_one_rewards_no_copy() -> None:
    scores = polychromic(objective="darling").score(group("AAB", [-1, -3, -2]))
    assert [score.value for score in scores] == pytest.approx([2 * 1 / 3, 0, 1 * 2 / 3])


def test_additive_adds_weighted_diversity() -> None:
    scores = polychromic(objective="additive", diversity_weight=0.3).score(group("AAB", [-1, -3, -2]))
    assert [score.value for score in scores] == pytest.approx([-1 + 0.1, -3 + 0.1, -2 + 0.2])


@pytest.mark.parametrize("objective", ["polychromic", "darling", "additive"])
def test_a_member_without_quality_is_null_as_its_quality_and_the_others_are_scored_among_themselves(
    objective: str,
) -> None:
    reward = polychromic(objective=objective, subset=2)
    lost = item(Score.failed("judge_budget", "spent"), "A")
    members = group("AABC", [1, 1, 1, 0])
    scores = reward.score([*members[:2], lost, *members[2:]])
    assert (scores[2].value, scores[2].status, scores[2].error) == (None, "judge_budget", "q: spent")
    assert [*scores[:2], *scores[3:]] == reward.score(members)


@pytest.mark.parametrize(
    ("objective", "subset", "members"), [("polychromic", 4, 3), ("polychromic", 1, 1), ("darling", 4, 1)]
)
def test_too_few_members_fail_and_are_not_zero(objective: str, subset: int, members: int) -> None:
    lost = Score.failed("timeout", "late")
    scores = polychromic(objective=objective, subset=subset).score(
        [*group("ABC"[:members], [1, 0, 1][:members]), item(lost)]
    )
    assert [score.status for score in scores] == ["timeout"] * (members + 1)  # what made them too few


DEGENERATE = [
    item(0.0, "B", completion=" "),
    item(0.0, "B", completion="I'm sorry, but I can't help with that."),
    item(0.0, "degenerate"),
]


@pytest.mark.parametrize("nothing", DEGENERATE)
def test_a_degenerate_member_makes_no_cluster_and_is_no_diversity(nothing: Item) -> None:
    scores = polychromic(subset=2).score([item(1, "A"), item(1, "A"), nothing])
    assert [score.components["distinct"] for score in scores] == [pytest.approx(1 / 3)] * 3
    assert [score.components["diversity"] for score in scores] == [0, 0, 0]
    assert [score.components["degenerate"] for score in scores] == [0, 0, 1]
    answer = polychromic(subset=2).score([item(1, "A"), item(1, "A"), item(0, "B")])
    assert (scores[2].value or 0) < (answer[2].value or 0)


def test_what_is_off_the_required_format_is_degenerate() -> None:
    reward = polychromic(required_format=r"<answer>.*</answer>", clusters="exact", objective="additive")
    items = [item(0, completion=text) for text in ("<answer>a</answer>", "<answer>b</answer>", "c")]
    assert [score.components["degenerate"] for score in reward.score(items)] == [0, 0, 1]


def test_degenerate_members_connect_nothing() -> None:
    reward = polychromic(clusters="embedding", cosine=0.7, subset=2)
    items = [item(1), item(1, "degenerate"), item(1)]
    for one, angle in zip(items, (0, np.pi / 4, np.pi / 2), strict=True):
        one.vectors = [np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)]
    assert [score.components["cluster_size"] for score in reward.score(items)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("clusters", "sizes"), [("exact", [1, 1, 1, 1]), ("near", [2, 2, 1, 1]), ("embedding", [1, 3, 3, 3])]
)
def test_clusters_are_exact_near_or_by_embedding(clusters: str, sizes: list[int]) -> None:
    texts = ("The lake is deep.", "the lake is deep", "The lake is blue.", "Go home!")
    items = [item(1, completion=text) for text in texts]
    for one, vector in zip(items, ([1, 0], [0, 1], [0.1, 0.995], [-0.1, 0.995]), strict=True):
        one.vectors = [np.array(vector, dtype=np.float32)]
    scores = polychromic(clusters=clusters, subset=2).score(items)
    assert [score.components["cluster_size"] for score in scores] == sizes


def test_embeddings_are_asked_for_only_where_they_are_used() -> None:
    assert polychromic().texts(item(1)) == []
    assert polychromic(clusters="embedding").texts(item(1)) == ["an answer"]
    assert polychromic().needs() == ("q",)


def test_missing_labels_are_said_and_not_guessed() -> None:
    scores = polychromic(subset=2).score([item(1, "A"), item(0, None), item(1, 3)])
    assert {score.status for score in scores} == {"invalid_input"}
    assert "context.cluster" in (scores[0].error or "")


@pytest.mark.parametrize("clusters", ["exact", "near"])
def test_the_order_of_the_group_changes_no_score(clusters: str) -> None:
    chance = random.Random(0)
    texts = [" ".join(chance.choices("abc", k=chance.randint(0, 6))) for _ in range(12)]
    items = [item(chance.random(), completion=text) for text in texts]
    order = chance.sample(range(12), 12)
    forward = polychromic(clusters=clusters).score(items)
    assert polychromic(clusters=clusters).score([items[i] for i in order]) == [forward[i] for i in order]


@pytest.mark.parametrize("settings", [{"required_format": "("}, {"refusals": ["a", "["]}])
def test_what_is_no_regular_expression_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        polychromic(**settings)
