"""A container per program, against a loopback server that speaks the calls of Docker's Engine API it takes.

There is no engine where this runs: whether a container confines what is in it is not tried here.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.loopback_http import Asked, Told, served

from model_evaluation.solving import confinement
from model_evaluation.solving.confinement import ConfinementError, Limits, Ran
from model_evaluation.solving.container import Container

IMAGE = "sha256:" + "0123" * 16
IMAGES: dict[str, Any] = {
    "/version": {"Version": "27.1", "ApiVersion": "1.43"},
    "/images/json": [{"Id": IMAGE}],
    f"/images/{IMAGE}/json": {"Id": IMAGE},
}


@dataclass
class Engine:
    """An engine whose containers say what a test says.

    Attributes:
        loses: the call whose connection breaks, its work done; of a container: create, json, start, wait, logs, remove.
        refuses: the call that is answered with 500.
        goes_on: set where a container ends; until then `wait` waits.
        boxes: the containers that are there: id to name.
        made: all that ever were asked for.
    """

    log: str = "done\n"
    loses: str = ""
    refuses: str = ""
    goes_on: threading.Event = field(default_factory=threading.Event)
    boxes: dict[str, str] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)

    def answer(self, asked: Asked) -> Told:
        path, _, query = asked.path.removeprefix("/v1.43").partition("?")
        if path in IMAGES:
            return Told(200, json.dumps(IMAGES[path]))
        call = "remove" if asked.method == "DELETE" else path.rpartition("/")[2]
        if call == self.refuses:
            return Told(500, json.dumps({"message": "the engine is unwell"}))
        told = self._of_a_container(call, path.split("/")[2], query.removeprefix("name="), asked.body)
        if call == self.loses:
            raise ConnectionAbortedError("as the test wants it")
        return told

    def _of_a_container(self, call: str, which: str, new: str, body: bytes) -> Told:
        if call == "create":
            self.made.append(json.loads(body))
            self.boxes[f"{len(self.made):064x}"] = new
            return Told(201, json.dumps({"Id": list(self.boxes)[-1]}))
        box = next((one for one, name in self.boxes.items() if which in (one, name)), None)
        if box is None:
            return Told(404, json.dumps({"message": f"no such container: {which}"}))
        if call == "json":
            return Told(200, json.dumps({"Id": box, "Config": {"Tty": False}}))
        if call == "wait" and call != self.loses:
            self.goes_on.wait(30)
            return Told(200, json.dumps({"StatusCode": 0}))
        if call == "logs":  # a frame: the stream, three bytes of nothing, the length in four
            return Told(200, f"\1\0\0\0\0\0\0{chr(len(self.log))}{self.log}")
        if call == "remove":
            del self.boxes[box]
            self.goes_on.set()
        return Told(204, "")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    engine.goes_on.set()
    with served(engine.answer) as url:
        monkeypatch.setenv("DOCKER_HOST", url.replace("http", "tcp"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield engine
        engine.goes_on.set()


def test_a_program_runs_in_a_container_of_its_own_that_is_confined_and_then_removed(engine: Engine) -> None:
    place = Container(Limits(seconds=5, memory_mb=256), "python:3.12-slim")
    assert place.run("print('done')") == Ran(0, "done\n")
    [asked] = engine.made
    assert asked["Cmd"] == ["python", "-I", "-c", "print('done')"]
    assert asked["User"] == "65534:65534"
    host = asked["HostConfig"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert (host["Memory"], host["PidsLimit"]) == (256 * 2**20, 64)
    assert host["LogConfig"]["Config"] == {"max-size": "16m"}
    assert engine.boxes == {}


def test_a_program_that_does_not_end_is_out_of_time_and_its_container_goes(engine: Engine) -> None:
    place = Container(Limits(seconds=0.2), "python:3.12-slim")
    engine.goes_on.clear()
    assert place.run("while True: pass") == Ran(None, "")
    assert engine.boxes == {}


@pytest.mark.parametrize("call", ["create", "json", "start", "wait", "logs", "remove"])
def test_a_connection_that_is_lost_says_nothing_of_the_program_and_leaves_no_container(
    engine: Engine, call: str
) -> None:
    place = Container(Limits(seconds=30), "python:3.12-slim")
    engine.loses = call
    verdict = confinement.verdict(place, "print('done')", "done")
    assert (verdict.right, verdict.status) == (None, "model_error")
    assert "the container engine failed" in (verdict.error or "")
    assert len(engine.made) == 1
    assert engine.boxes == {}


@pytest.mark.parametrize("call", ["create", "start", "wait", "logs"])
def test_an_engine_that_refuses_is_told_with_its_words_and_leaves_no_container(engine: Engine, call: str) -> None:
    place = Container(Limits(seconds=30), "python:3.12-slim")
    engine.refuses = call
    with pytest.raises(ConfinementError, match="the engine is unwell"):
        place.run("print('done')")
    assert engine.boxes == {}


def test_a_container_that_cannot_be_removed_is_told(engine: Engine) -> None:
    place = Container(Limits(seconds=30), "python:3.12-slim")
    engine.refuses = "remove"
    with pytest.raises(ConfinementError, match="guerdon-tests-"):
        place.run("print('done')")
