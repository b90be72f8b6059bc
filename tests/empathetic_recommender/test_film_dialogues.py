import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empathetic_recommender.film_dialogues import corpora, feelings, films, noise
from empathetic_recommender.film_dialogues.dialogues import rows
from empathetic_recommender.film_dialogues.reply import drawn, written
from empathetic_recommender.film_dialogues.seeker import LAST_TRY, Seeker
from empathetic_recommender.user_prompt import UserUnreadable, read

ROWS = rows(300, seed=0)
SEEKER = Seeker("lonely", "western", "Shane", patient=True)
BEST = "Being lonely is hard, and I am glad you wrote. I recommend High Noon."


def test_the_same_seed_gives_the_same_dialogues_and_another_gives_others() -> None:
    assert rows(5, seed=3) == rows(5, seed=3) != rows(5, seed=4)


def test_titles_differ_and_none_is_part_of_another() -> None:
    titles = [film.title for film in films.FILMS]

    assert len(set(titles)) == 36
    assert all(films.named(title) == [film] for title, film in zip(titles, films.FILMS, strict=True))


@given(st.integers(0, 10_000))
def test_the_words_of_a_reply_are_those_that_its_levels_say(seed: int) -> None:
    rng = random.Random(seed)
    seeker = Seeker.drawn(rng)
    others = [film for film in films.FILMS if film.genre != seeker.genre]
    slots = drawn(seeker.fitting(), others, rng)
    text, levels = written(slots, seeker.genre, seeker.feeling, rng), slots.levels(seeker.genre)

    assert feelings.named(text) == (levels["empathy"] == 0.8)
    assert feelings.noted(text) == (levels["empathy"] > 0.2)
    assert bool(films.named(text)) == (levels["recommendation"] > 0.2)
    assert any(film in seeker.fitting() for film in films.named(text)) == (levels["recommendation"] == 0.8)
    assert ("?" in text.removesuffix("?")) or text.endswith("?") or levels["engagement"] == 0.2


def test_the_variance_of_the_labels_is_that_of_the_levels_and_the_declared_noise() -> None:
    labelled = noise.labelled(rows(2000, seed=1), seed=0)
    for name in ("empathy", "overall"):
        levels = np.array([row["levels"][name] for row in labelled])
        mean = np.array([np.mean([row["labels"][who][name] for who in noise.LABELERS]) for row in labelled])

        assert (mean - levels).var() == pytest.approx(noise.variance(name, 2), rel=0.1)
        assert mean.var() == pytest.approx(levels.var() + noise.variance(name, 2), rel=0.06)


def test_labels_are_never_clipped_and_politeness_has_no_variance() -> None:
    said = [labels for row in noise.labelled(ROWS, seed=0) for labels in row["labels"].values()]

    assert all(0 <= value <= 1 for one in said for value in one.values())
    assert {one["politeness"] for one in said} == {0.6}


def test_a_seeker_who_was_listened_to_accepts_a_fitting_film_more_often() -> None:
    rng = random.Random(0)
    accepted = {
        reply: sum(SEEKER.answer("", reply, rng).decision == "accept" for _ in range(300))
        for reply in (BEST, "I recommend High Noon.")
    }

    assert accepted[BEST] > 260
    assert accepted["I recommend High Noon."] < 100


@pytest.mark.parametrize("reply", ["You could watch Alien.", "You could watch Shane.", "Films are a good idea."])
def test_a_wrong_known_or_missing_film_is_never_accepted_and_patience_ends(reply: str) -> None:
    rng = random.Random(0)
    said, decisions = "I look for a western.", []
    for _ in range(3):
        answer = SEEKER.answer(said, reply, rng)
        said = answer.text
        decisions.append(answer.decision)

    assert decisions == ["stay", "stay", "leave"]
    assert SEEKER.answer("", reply, rng).text.startswith("Hmm.")
    assert Seeker("lonely", "western", "Shane", patient=False).answer("", reply, rng).text.startswith(LAST_TRY)


def test_every_completion_of_the_user_corpus_can_be_read() -> None:
    assert {read(row["completion"]).decision for row in corpora.of_user(ROWS)} == {"accept", "stay", "leave"}


@pytest.mark.parametrize("text", ["", "accept", "stay:", "maybe: no", "I accept: yes"])
def test_another_line_is_unreadable(text: str) -> None:
    with pytest.raises(UserUnreadable):
        read(text)
