from collections import Counter

from preference_elicitation import catalogue
from preference_elicitation.catalogue import ATTRIBUTES, ITEMS, PERSONAS, QUESTIONS, SCENARIOS
from reward_server.rewards.information_gain import is_question
from reward_server.rewards.models.text_file import read_texts


def test_there_are_sixty_cars_of_at_least_nine_categories() -> None:
    assert len(catalogue.items()) == len({item.text for item in catalogue.items()}) == 60
    assert len({item.category for item in catalogue.items()}) >= 9


def test_twenty_personas_have_ten_different_scenarios_each() -> None:
    names = [persona.name for persona in catalogue.personas()]
    counts = Counter(scenario.persona for scenario in catalogue.scenarios())
    assert len(names) == 20
    assert counts == dict.fromkeys(names, 10)
    assert len({scenario.text for scenario in catalogue.scenarios()}) == 200


def test_a_description_says_every_attribute_of_its_car_but_the_price_in_its_own_words() -> None:
    for item in catalogue.items():
        said = item.text.lower()
        unsaid = [word for word in item.words[1:3] if word not in said]
        assert unsaid == [], f"{item.name}: {unsaid}"
        assert "$" in said, item.name


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
