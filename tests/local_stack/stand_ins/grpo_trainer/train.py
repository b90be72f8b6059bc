"""Asks the reward server whether it is ready, writes what it was told, and waits if STAND_IN_TRAINS_ON is set."""

import json
import os
import time
import urllib.request
from pathlib import Path


def main(argv: list[str]) -> int:
    options = dict(zip(argv[1::2], argv[2::2], strict=True))
    out = Path(options["--out"])
    out.mkdir(parents=True)
    ready = json.load(urllib.request.urlopen(f"{options['--reward-url']}/readyz"))["ready"]
    (out / "chart.png").write_text(json.dumps({"run": argv[0], "ready": ready, **options}))
    print("training", flush=True)
    if os.environ.get("STAND_IN_TRAINS_ON"):
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            (out / "checkpoint").touch()
            return 130
    return int(os.environ.get("STAND_IN_EXITS", "0"))
