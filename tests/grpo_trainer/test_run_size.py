import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_trainer.arguments import overrides, parsed
from grpo_trainer.config import run_file, run_size
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError

RUN = """
[policy]
model = "org/name"
[policy.lora]
r = 8
[dataset]
name = "sql_cot"
rows = 400
[[rewards]]
name = "sql_cot"
[[rewards]]
name = "length"
[grpo]
learning_rate = 2e-5
max_steps = 300

[size.proof.policy]
train = "all"
[size.proof.grpo]
max_steps = 20

[[size.smoke.rewards]]
name = "sql_cot"
weight = 2.0
[size.smoke.policy.lora]
alpha = 4
"""


def config(tmp_path: Path, text: str, *arguments: str) -> RunConfig:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    found = parsed([str(path), *arguments])
    return run_file.read(str(path), overrides(found), found.size).config()


def refusal(tmp_path: Path, text: str, *arguments: str) -> str:
    with pytest.raises(RunFileError) as refused:
        config(tmp_path, text, *arguments)
    return str(refused.value)


def test_a_size_is_laid_over_the_file_key_by_key(tmp_path: Path) -> None:
    found = config(tmp_path, RUN, "--size", "proof")
    assert found.grpo == {"learning_rate": 2e-5, "max_steps": 20}
    assert found.policy.train == "all"
    assert found.policy.lora.r == 8
    assert config(tmp_path, RUN).grpo["max_steps"] == 300
    assert config(tmp_path, RUN, "--size", "real") == config(tmp_path, RUN)


def test_a_list_of_a_size_replaces_the_files(tmp_path: Path) -> None:
    found = config(tmp_path, RUN, "--smoke")
    assert found.weights == {"sql_cot": 2.0}
    assert (found.policy.lora.r, found.policy.lora.alpha) == (8, 4)
    assert found == config(tmp_path, RUN, "--size", "smoke")


def test_the_command_line_is_laid_over_the_size(tmp_path: Path) -> None:
    assert config(tmp_path, RUN, "--size", "proof", "--steps", "3").grpo["max_steps"] == 3
    assert "the command line, grpo.max_stps" in refusal(tmp_path, RUN, "--size", "proof", "--set", "grpo.max_stps=3")


def test_a_size_with_another_dataset_begins_without_the_settings_of_the_first(tmp_path: Path) -> None:
    table = {"dataset": {"name": "a", "rows": 4}}
    assert run_size.overlaid(table, {"dataset": {"name": "b", "path": "p"}})["dataset"] == {"name": "b", "path": "p"}
    assert run_size.overlaid(table, {"dataset": {"rows": 5}})["dataset"] == {"name": "a", "rows": 5}


@pytest.mark.parametrize("size", ["real", "proof"])
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("max_steps = 20", "max_step = 20", ["line 20, size.proof.grpo.max_step: ", "did you mean 'max_steps'?"]),
        ("max_steps = 20", 'max_steps = "20"', ["line 20, size.proof.grpo.max_steps: ", "a str; TRL wants int"]),
        ('train = "all"', 'trian = "all"', ["line 18, size.proof.policy.trian: ", "did you mean 'train'?"]),
        ("weight = 2.0", "wieght = 2.0", ["line 24, size.smoke.rewards.1.wieght: ", "did you mean 'weight'?"]),
        ("[size.proof.grpo]", "[size.proof.grop]", ["line 19, size.proof.grop: ", "did you mean 'grpo'?"]),
        ("alpha = 4", "alfa = 4", ["line 26, size.smoke.policy.lora.alfa: ", "did you mean 'alpha'?"]),
    ],
)
def test_what_is_misspelt_in_any_size_is_refused_with_its_place(
    tmp_path: Path, right: str, wrong: str, said: list[str], size: str
) -> None:
    assert right in RUN
    message = refusal(tmp_path, RUN.replace(right, wrong, 1), "--size", size)
    for part in said:
        assert part in message


def test_what_is_wrong_below_a_size_is_said_of_the_file(tmp_path: Path) -> None:
    message = refusal(tmp_path, RUN.replace("r = 8", "rr = 8", 1), "--size", "proof")
    assert "line 5, policy.lora.rr" in message
    assert "size." not in message


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (RUN, ["--size", "prof"], "no size 'prof'; did you mean 'proof'? Its sizes: real, proof, smoke."),
        (RUN + "[size.real.grpo]\nseed = 1\n", [], "are its real size"),
        ("size = 3\n" + RUN.split("[size.")[0], [], "tables such as [size.proof.grpo]"),
        (RUN.replace("[size.proof.grpo]", "[sise.proof.grpo]"), [], "unknown key 'sise'; did you mean 'size'?"),
    ],
)
def test_a_size_that_is_none_is_refused(tmp_path: Path, text: str, arguments: list[str], said: str) -> None:
    assert said in refusal(tmp_path, text, *arguments)


def test_a_model_that_a_stage_of_another_size_will_make_need_not_exist_yet(tmp_path: Path) -> None:
    text = RUN.replace('train = "all"', 'model = "./made/later"')
    assert config(tmp_path, text).policy.model == "org/name"
    assert "size.proof.policy.model: there is no model" in refusal(tmp_path, text, "--size", "proof")


TABLES = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))


@given(*[st.dictionaries(st.sampled_from("abc"), TABLES)] * 2)
def test_every_leaf_is_the_sizes_where_it_has_one_and_the_files_elsewhere(
    table: dict[str, object], size: dict[str, object]
) -> None:
    before = json.dumps([table, size])
    merged = run_size.overlaid(table, size)
    assert json.dumps([table, size]) == before
    assert set(merged) == set(table) | set(size)
    for key, value in merged.items():
        below, over = table.get(key), size.get(key)
        if key not in size:
            assert value == below
        elif isinstance(over, dict) and isinstance(below, dict):
            assert value == run_size.overlaid(below, over)
        else:
            assert value == over
