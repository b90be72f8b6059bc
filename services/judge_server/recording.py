"""Write the replies of a ledger as a file for a `replay` judge: `python -m judge_server.recording LEDGER [JUDGE]`.

Verdicts can then be computed again without the model, by anybody, for an audit or a test.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
from sqlalchemy import Engine, create_engine, select

from judge_server.ledger.database import address
from judge_server.ledger.tables import calls

USAGE = "usage: python -m judge_server.recording LEDGER [JUDGE] > replies.jsonl   (a SQLite file or a database's URL)"


def lines(engine: Engine, judge: str | None = None) -> Iterator[bytes]:
    """Yield one line for each reply that was read, oldest first; of one judge, or of all."""
    wanted = select(calls.c.prompt_hash, calls.c.sample, calls.c.reply).where(calls.c.state == "ok")
    if judge is not None:
        wanted = wanted.where(calls.c.judge == judge)
    with engine.connect() as connection:
        for prompt_hash, sample, reply in connection.execute(wanted.order_by(calls.c.created, calls.c.id)):
            yield orjson.dumps({"key": prompt_hash, "sample": sample, "reply": orjson.loads(reply)})


def main(arguments: Sequence[str]) -> int:
    """Write the lines to standard output; exit status 2 without a ledger."""
    if len(arguments) not in (1, 2):
        print(USAGE, file=sys.stderr)
        return 2
    ledger, judge = arguments[0], arguments[1] if len(arguments) == 2 else None
    if "://" not in ledger and not Path(ledger).is_file():
        print(f"there is no ledger {ledger}\n{USAGE}", file=sys.stderr)
        return 2
    for line in lines(create_engine(address(ledger)), judge):
        sys.stdout.buffer.write(line + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
