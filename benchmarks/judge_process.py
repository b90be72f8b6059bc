"""The judge server as a process, on a ledger and with judges of a benchmark's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provider import CONCURRENCY
from queue_overhead import wait_for

from local_stack.address import free_port

PROMPT_PRICE, COMPLETION_PRICE = 0.5, 1.5
JUDGE = """
[{name}]
kind = "openai_compatible"
base_url = "{url}"
model = "{name}"
concurrency = {concurrency}
prices = {{ prompt = {prompt}, completion = {completion} }}
"""


def judge(name: str, url: str, **limits: int) -> str:
    table = JUDGE.format(name=name, url=url, concurrency=CONCURRENCY, prompt=PROMPT_PRICE, completion=COMPLETION_PRICE)
    return table + "".join(f"{limit} = {value}\n" for limit, value in limits.items())


@contextmanager
def judge_server(folder: Path, judges: str) -> Iterator[tuple[str, int]]:
    """Run the server on the ledger of a folder; yields its address and process id."""
    folder.mkdir(exist_ok=True)
    (folder / "judges.toml").write_text(judges)
    port = free_port()
    ours = {
        "GUERDON_JUDGE_CONFIG": str(folder / "judges.toml"),
        "GUERDON_JUDGE_LEDGER": str(folder / "ledger.sqlite3"),
        "GUERDON_JUDGE_PORT": str(port),
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("GUERDON_", "OPENAI_"))}
    with (folder / "log").open("a") as log:
        process = subprocess.Popen([sys.executable, "-m", "judge_server"], env=inherited | ours, stdout=log, stderr=log)
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait()


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
