from pathlib import Path

import pytest

from reward_server.rewards.models.text_file import read_texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cars.toml", 'van = " A van. "\n[coupe]\ntext = "A coupe."\nprice = 30000\n'),
        ("cars.json", '{"van": "A van.", "coupe": {"text": "A coupe.", "price": 30000}}'),
    ],
)
def test_texts_are_read_by_id_in_the_order_of_the_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert list(read_texts(str(tmp_path / name)).texts.items()) == [("van", "A van."), ("coupe", "A coupe.")]


def test_the_digest_changes_with_a_text_and_with_nothing_else(tmp_path: Path) -> None:
    contents = ['van = "A van."', 'van = "A  van."', 'van = "A van." # the best']
    digests = []
    for content in contents:
        (tmp_path / "cars.toml").write_text(content)
        digests.append(read_texts(str(tmp_path / "cars.toml")).digest)
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[van]\nprice = 3", "van is no text"),
        ("van = 3", "van is no text"),
        ('van = " "', "van is no text"),
        ("", "one entry per text"),
        ("van =", "neither TOML nor JSON"),
        (None, "cannot read"),
    ],
)
def test_a_file_without_texts_says_what_would_have_worked(tmp_path: Path, content: str | None, problem: str) -> None:
    file = tmp_path / "cars.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=problem):
        read_texts(str(file))


def test_an_unknown_id_is_named(tmp_path: Path) -> None:
    (tmp_path / "cars.toml").write_text('van = "A van."')
    with pytest.raises(ValueError, match=r"cars.toml has no 'bus'; it has 1, e.g. 'van'"):
        read_texts(str(tmp_path / "cars.toml"))["bus"]
