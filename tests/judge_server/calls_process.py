"""A process that asks a judge many questions and says what became of them: URL, ledger, number, file size limit."""

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

from tests.judge_server.one_judge import judge, opened, question


async def main(url: str, folder: str, number: int, room: int) -> None:
    async with opened(judge(url, concurrency=8, attempts=2), Path(folder)) as calls:
        if room:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
            size = (Path(folder) / "ledger.sqlite3-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
        outcomes = await calls.ask_all([question(f"{n}") for n in range(number)])
        failures = [(outcome.failure.status, outcome.failure.reason) for outcome in outcomes if outcome.failure]
        healthy = (await calls.calls.healthy())[0]
        told = {
            "read": sum(outcome.reading is not None for outcome in outcomes),
            "cached": sum(outcome.cached for outcome in outcomes),
            "failures": failures,
            "healthy": healthy,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    url, folder, number, room = sys.argv[1:]
    asyncio.run(main(url, folder, int(number), int(room)))
