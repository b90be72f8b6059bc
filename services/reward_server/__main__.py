"""Run the HTTP face as a process: `python -m reward_server`."""

import os
import sys

# Before numpy is imported: with both cores busy, its threads make a small eigendecomposition take 200 times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from http_face import log_lines, tracing
from http_face.drain import Server
from reward_server.app import create_app
from reward_server.settings import Settings


def main() -> int:
    """Serve until a signal; exit status 2 when the configuration is wrong."""
    try:
        settings = Settings()
        settings.refuse_to_be_open()
        log_lines.configure(settings.log_format, settings.log_level)
        tracing.start("guerdon-reward-api")
        app = create_app(settings)
    except ValueError as error:
        print(f"reward server: {error}", file=sys.stderr)
        return 2
    Server(app, settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
