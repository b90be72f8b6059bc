"""Stop without dropping anybody: not ready first, then no new connections, then the rest is answered."""

import logging
import os
import signal
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from http_face.face_settings import FaceSettings

log = logging.getLogger("guerdon.api")

FINISH_S = 30
"""How long requests that are being answered may take to finish once the socket is closed."""
KEEP_ALIVE_S = 75
"""Longer than a training step usually takes, so that trainers keep their connection."""


class Server(uvicorn.Server):
    """uvicorn, which on its own closes its socket at the first signal, while balancers still send requests.

    SIGTERM: /readyz turns 503 and the server goes on for `drain_s`, then ends. SIGINT: the same without going on. A
    second signal ends the process at once.

    Args:
        app: its state's `draining` is what /readyz reports.
        settings: where to listen; its `drain_s` lasts until balancers have noticed.
    """

    def __init__(self, app: FastAPI, settings: FaceSettings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http="httptools",
                loop="uvloop",
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=FINISH_S,
                log_config=None,  # its lines go the way of ours
                log_level="warning",
            )
        )
        self._app, self._drain_s = app, settings.drain_s
        self._ends_at: float | None = None
        self._said = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal. Ours alone: uvicorn's would raise it again at the end, and the exit status be no 0."""
        if self._ends_at is not None:
            os._exit(128 + sig)
        patience_s = self._drain_s if sig == signal.SIGTERM else 0.0
        self._app.state.draining = True
        self._ends_at = time.monotonic() + patience_s

    async def on_tick(self, counter: int) -> bool:
        """Say whether to stop serving; uvicorn asks ten times a second."""
        if self._ends_at is not None and not self._said:
            self._said = True  # not in the signal's handler: it may have come in the middle of a line
            log.info(
                "stopping: not ready any more, serving for another %.0f s", max(0.0, self._ends_at - time.monotonic())
            )
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)
