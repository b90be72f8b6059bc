import re
from collections import Counter

from preference_elicitation import catalogue
from preference_elicitation.catalogue import ATTRIBUTES, ITEMS, PERSONAS, QUESTIONS, SCENARIOS
from reward_server.rewards.information_gain import is_question
from reward_server.rewards.models.text_file import read_texts


def said(word: str, item: catalogue.Item) -> bool:
    return re.search(rf"\b{word}\b", item.text, re.IGNORECASE) is not None


def test_there_are_sixty_cars_of_at_least_nine_categories() -> None:
    assert len(catalogue.items()) == len({item.text for item in catalogue.items()}) == 60
    assert len({item.category for item in catalogue.items()}) >= 9


def test_twenty_personas_have_ten_different_scenarios_each() -> None:
    names = [persona.name for persona in catalogue.personas()]
    counts = Counter(scenario.persona for scenario in catalogue.scenarios())
    assert len(names) == 20
    assert counts == dict.fromkeys(names, 10)
    assert len({scenario.text for scenario in catalogue.scenarios()}) == 200


def test_a_description_says_what_a_car_runs_on_its_size_and_its_condition_in_the_words_of_its_attributes() -> None:
    for item in catalogue.items():
        unsaid = [word for word in item.words[1:4] if not said(word, item)]
        assert unsaid == [], f"{item.name}: {unsaid}"


def test_a_description_never_says_the_opposite_of_a_ride_or_a_ground() -> None:
    for item in catalogue.items():
        opposites = {*ATTRIBUTES["ride"], *ATTRIBUTES["ground"]} - {*item.words, "road"}  # a drive on a road hurts none
        assert not any(said(word, item) for word in opposites), item.name


def test_a_cheap_car_costs_thirty_thousand_at_most_and_a_premium_one_more() -> None:
    for item in catalogue.items():
        price = re.search(r"\$(\d+),(\d{3})", item.text)
        assert price is not None, item.name
        assert (int(price[1] + price[2]) <= 30_000) == ("cheap" in item.words), item.name


def test_wishes_are_words_of_attributes_and_one_at_most_of_each() -> None:
    for persona in catalogue.personas():
        about = [catalogue.attribute(word) for word in persona.wishes]
        assert len(about) == len(set(about)), persona.name
        assert all(word in persona.text.lower() for word in persona.wishes), persona.name


def test_no_word_stands_for_two_attributes() -> None:
    words = [word for some in ATTRIBUTES.values() for word in some]
    assert len(words) == len(set(words))


def test_the_bank_holds_questions_about_every_attribute_and_about_none() -> None:
    about = Counter(question.about for question in catalogue.questions())
    assert set(about) == {None, *ATTRIBUTES}
    assert all(is_question(question.text, 500) for question in catalogue.questions())


def test_the_reward_server_reads_every_file_that_ships() -> None:
    assert [len(read_texts(str(path)).texts) for path in (ITEMS, PERSONAS, SCENARIOS)] == [60, 20, 200]
    assert len(read_texts(str(QUESTIONS)).texts) == len(catalogue.questions())
