"""Run the judge server as a process: `python -m judge_server`."""

import sys

import uvloop

from http_face import log_lines, tracing
from http_face.drain import Server
from judge_server import judges
from judge_server.app import create_app
from judge_server.calls.calls import Calls
from judge_server.settings import Settings


def main() -> int:
    """Serve until a signal; exit status 2 when the configuration is wrong."""
    try:
        settings = Settings()
        settings.refuse_to_be_open()
        log_lines.configure(settings.log_format, settings.log_level)
        tracing.start("guerdon-judge")
        configured = judges.load(settings.config)
    except ValueError as error:
        return _refuse(error)
    try:
        uvloop.run(serve(settings, configured))
    except judges.ConfigError as error:
        return _refuse(error)
    return 0


def _refuse(error: ValueError) -> int:
    print(f"judge server: {error}", file=sys.stderr)
    return 2


async def serve(settings: Settings, configured: judges.Judges) -> None:
    """Open the ledger and serve; no provider is asked before the first request.

    Raises:
        judges.ConfigError: the ledger, Redis or a judge cannot be used.
    """
    calls = await Calls.open(configured, settings)
    app = create_app(settings, configured, calls)
    try:
        await Server(app, settings).serve()
    finally:
        await calls.close()


if __name__ == "__main__":
    sys.exit(main())
