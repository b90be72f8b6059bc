"""Run the HTTP face as a process: `python -m reward_server`."""

import logging
import sys

import uvicorn

from reward_server.app import create_app
from reward_server.settings import Settings


def main() -> int:
    """Serve until SIGTERM; exit status 2 when the configuration is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings()
        settings.refuse_to_be_open()
        app = create_app(settings)
    except ValueError as error:
        print(f"reward server: {error}", file=sys.stderr)
        return 2
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=30,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
