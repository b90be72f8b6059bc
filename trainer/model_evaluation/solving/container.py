"""A container per program, without network, on whatever engine the `docker` package finds.

The settings are those of the Engine API; they could not be tried where this was written, for want of an engine.
"""

import secrets
import time
from contextlib import suppress
from typing import Any

from model_evaluation.solving.confinement import ConfinementError, Limits, Ran

LONGEST = 100_000
"""Characters of a program: it travels as an argument, which Linux bounds at 128 kB."""
NOBODY = "65534:65534"
LOG = {"type": "json-file", "config": {"max-size": "16m"}}
"""Where the engine keeps what a program writes: on the host's disk, which no other limit of the container bounds."""


class Container:
    """Runs each program in a new container: no network, read-only, no capabilities, nobody's user."""

    def __init__(self, limits: Limits, image: str) -> None:
        """Find the engine and its image, which is pulled where it is missing.

        Raises:
            ConfinementError: there is no package, no engine, or no image.
        """
        try:
            import docker
            from docker.errors import DockerException, NotFound
        except ModuleNotFoundError:
            raise ConfinementError("the package 'docker' is not installed") from None
        self._errors: tuple[type[Exception], ...] = (DockerException, OSError)
        self._gone: type[Exception] = NotFound
        try:
            self._engine: Any = docker.from_env(timeout=int(limits.seconds) + 60)
            version = self._engine.version().get("Version", "of unknown version")
        except self._errors as error:
            raise ConfinementError(f"no container engine answers ({type(error).__name__})") from None
        try:
            found = self._engine.images.list(name=image) or [self._engine.images.pull(image)]
        except self._errors as error:
            raise ConfinementError(f"there is no image {image}: {error}") from None
        self._image, self._limits, self.why = image, limits, "a container engine answers"
        self.described = (
            f"container {image} ({found[0].id[:19]}) on engine {version}: no network, read-only, no capabilities, "
            f"user nobody, {limits.memory_mb} MB, {limits.seconds:g} s"
        )

    def run(self, program: str) -> Ran:
        if len(program) > LONGEST:
            raise ConfinementError(f"the program has {len(program)} characters; a container takes {LONGEST}")
        name = f"guerdon-tests-{secrets.token_hex(8)}"
        try:
            try:
                box = self._made(name, program)
                box.start()
                return self._ended(box)
            finally:
                # By the name that we gave it: the engine may have made it, and its answer been lost.
                with suppress(self._gone):
                    self._engine.api.remove_container(name, force=True)
        except self._errors as error:
            raise ConfinementError(f"the container engine failed: {type(error).__name__}: {error}") from None

    def _made(self, name: str, program: str) -> Any:
        memory = f"{self._limits.memory_mb}m"
        return self._engine.containers.create(
            self._image,
            ["python", "-I", "-c", program],
            name=name,
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": "size=64m,mode=1777"},  # noqa: S108 - inside the container
            working_dir="/tmp",  # noqa: S108
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            user=NOBODY,
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=64,
            nano_cpus=1_000_000_000,
            log_config=LOG,
        )

    def _ended(self, box: Any) -> Ran:
        import requests

        began = time.monotonic()
        try:
            status = int(box.wait(timeout=self._limits.seconds)["StatusCode"])
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
            # The docker package raises either when the time is up; a connection that was lost raises the latter too.
            if time.monotonic() - began < self._limits.seconds:
                raise
            return Ran(None, "")
        return Ran(status, box.logs(tail=100).decode("utf-8", "replace"))
