from preference_elicitation.world_check import problems


def world(**accuracy: float) -> dict[str, dict[str, float]]:
    learnt = {"labeller": 0.95, "nothing": 0.6, "an aside": 0.61, "price": 0.75, "energy": 0.7}
    named = {name.replace("_", " "): value for name, value in accuracy.items()}
    return {name: {"accuracy": value} for name, value in (learnt | named).items()}


def test_a_world_that_labels_and_learns_from_answers_has_no_problem() -> None:
    assert problems(world()) == []


def test_a_world_that_learnt_nothing_is_refused_in_words() -> None:
    said = problems(world(labeller=0.55, price=0.6))
    assert ["55%" in said[0], "60% to 60%" in said[1], len(said)] == [True, True, 2]


def test_a_world_that_learns_from_small_talk_is_refused() -> None:
    assert "an aside" in problems(world(an_aside=0.7))[0]
