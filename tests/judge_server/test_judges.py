"""judges.toml: what is wrong with it is said in its own terms, before anything is asked or paid."""

from pathlib import Path

import pytest

from judge_server.judges import ConfigError, Judge, Judges, Prices, load

LAB = """[lab]
kind = "openai_compatible"
model = "m"
base_url = "http://127.0.0.1:9/v1"
"""
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAB + 'name = "x"', "[lab] holds a name"),
        ('default = ["lab"]\n' + LAB, "default names a judge"),
        (LAB.replace("[lab]", "[default]"), "no table can be called default"),
        (LAB.replace("[lab]", '["a/b"]'), "'a/b' cannot name a judge"),
        (LAB.replace("[lab]", '[""]'), "'' cannot name a judge"),
        (LAB.replace("127.0.0.1", "[::1"), "base_url: it is no URL"),
        (LAB.replace(":9/", ":99999999/"), "base_url: it is no URL"),
        (LAB.replace("http://127.0.0.1:9/v1", ""), "base_url: it is no http:// or https:// URL"),
        (LAB.replace("http://", "file://"), "base_url: it is no http:// or https:// URL"),
        (LAB.replace("http://", f"http://me:{SECRET}@"), "base_url: it holds a user or password"),
        (LAB.replace("/v1", f"/v1?api-key={SECRET}"), "base_url: it holds a query"),
        (LAB + "prices = { prompt = inf }", "prices.prompt"),
        (LAB + "prices = { completion = 1e7 }", "prices.completion"),
        (LAB + "budget = { cost = 1e300 }", "budget.cost"),
        (LAB + "run_budget = { tokens = 9007199254740993 }", "run_budget.tokens"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_place_and_no_secret(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "judges.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load(file)
    assert said in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("key", ["sk-é-abc", "sk-\x07abc", "sk\nabc"])
def test_a_key_that_no_header_can_carry_is_a_problem_of_its_judge(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("KEY_OF_TEST", key)
    problem = _problem(Judge(name="j", kind="openai", model="m", key_env="KEY_OF_TEST"))
    assert "KEY_OF_TEST" in problem
    assert "abc" not in problem


def test_a_key_is_read_without_the_line_end_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_TEST", " sk-abc\n")
    judge = Judge(name="j", kind="openai", model="m", key_env="KEY_OF_TEST")
    assert judge.key == "sk-abc"
    assert _problem(judge) == ""


@pytest.mark.parametrize("address", [f"http://me:{SECRET}@host/v1", "host:80", "http://h:port/v1"])
def test_an_address_from_the_environment_is_looked_at_as_well(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ADDRESS_OF_TEST", address)
    judge = Judge(name="j", kind="openai_compatible", base_url_env="ADDRESS_OF_TEST")
    assert judge.url is None
    assert "ADDRESS_OF_TEST" in _problem(judge)
    assert SECRET not in _problem(judge)


def test_prices_cost_what_they_say() -> None:
    assert Prices(prompt=2.0, completion=10.0).cost(1_000_000, 500_000) == 7.0


def _problem(judge: Judge) -> str:
    return Judges({judge.name: judge}, None, "the test").problem(judge) or ""
