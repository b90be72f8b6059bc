"""How long `import guerdon` and `guerdon --help` take, beside a Python that does nothing; whole processes."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import machine

REPETITIONS = 9
COMMANDS = {
    "nothing_s": ["-c", "pass"],
    "import_s": ["-c", "import guerdon"],
    "help_s": ["-m", "guerdon.cli", "--help"],
}
RESULTS = Path(__file__).parent / "results" / "import_time.json"


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    rounds = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(REPETITIONS)]
    result = {name: round(statistics.median(one[name] for one in rounds), 3) for name in COMMANDS}
    RESULTS.write_text(json.dumps({"machine": machine(), "repetitions": REPETITIONS, **result}, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
