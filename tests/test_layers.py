"""Imports point where the design says, and light things stay light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "trl", "peft", "fastapi", "celery", "redis", "numpy"}


def loaded_by(code: str) -> set[str]:
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_imports_keep_to_the_layers() -> None:
    # In a process of its own: it changes what the streams of this one are.
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import guerdon",
        "import guerdon.trl",
        "from guerdon.cli import main; main(['--help'])",
        "from guerdon.cli import main; main([])",
        "from guerdon.cli import main; main(['no-such-command'])",
    ],
)
def test_guerdon_and_its_help_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


@pytest.mark.parametrize("command", ["up", "demo", "train", "sqlcot", "rewards", "compare", "judge"])
def test_the_help_of_a_command_loads_no_torch(command: str) -> None:
    code = f"from guerdon.cli import main\ntry: main(['{command}', '--help'])\nexcept SystemExit: pass"
    assert loaded_by(code) & {"torch", "transformers", "trl"} == set()


def test_the_api_process_loads_no_torch() -> None:
    imports = "from reward_server.app import create_app\nfrom reward_server.settings import Settings"
    assert loaded_by(f"{imports}\ncreate_app(Settings())") & {"torch", "transformers"} == set()


def test_the_judge_server_loads_no_torch_and_no_transformers() -> None:
    assert loaded_by("import judge_server.app, judge_server.calls.calls") & {"torch", "transformers", "numpy"} == set()


def test_guerdon_imports_only_pydantic_and_httpx() -> None:
    roots: set[str] = set()
    for path in (ROOT / "proto" / "guerdon").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                roots.add(node.module.split(".")[0])
    assert roots - sys.stdlib_module_names == {"guerdon", "pydantic", "httpx"}
