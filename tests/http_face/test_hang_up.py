"""Work for a client that hangs up is cancelled, and nothing else is."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from http_face.hang_up import Gone, unless_gone


@pytest.fixture(autouse=True)
def _watched_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("http_face.hang_up.LOOK_AFTER_S", 0)


class Client:
    """The wire to a client that stays until it is told to leave."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.request = Request({"type": "http", "method": "POST", "headers": []}, self._receive)

    async def _receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


class Work:
    """Goes on until it is told to end; says whether it was cancelled."""

    def __init__(self) -> None:
        self.begun, self.ends = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def run(self) -> str:
        self.begun.set()
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


def test_the_answer_comes_through_while_the_client_stays() -> None:
    async def main() -> None:
        client, work = Client(), Work()
        answer = asyncio.create_task(unless_gone(client.request, work.run()))
        await work.begun.wait()
        work.ends.set()
        assert await answer == "done"
        client.leaves.set()
        await asyncio.sleep(0)  # the watch has ended with the work
        assert not answer.cancelled()

    asyncio.run(main())


def test_what_the_work_raises_comes_through() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await unless_gone(Client().request, fails())

    asyncio.run(main())


def test_work_is_cancelled_when_its_client_leaves_and_the_task_lives_on() -> None:
    async def main() -> None:
        client, work = Client(), Work()

        async def answered() -> str:
            try:
                await unless_gone(client.request, work.run())
            except Gone:
                await asyncio.sleep(0)  # not cancelled any more
                return "gone"
            return "answered"

        answer = asyncio.create_task(answered())
        await work.begun.wait()
        client.leaves.set()
        assert await answer == "gone"
        assert work.cancelled

    asyncio.run(main())


def test_a_client_is_gone_even_when_its_work_swallows_the_cancellation() -> None:
    async def main() -> None:
        client, work = Client(), Work()

        async def stubborn() -> str:
            try:
                return await work.run()
            except asyncio.CancelledError:
                return "done all the same"

        async def answered() -> str:
            try:
                return await unless_gone(client.request, stubborn())
            except Gone:
                await asyncio.sleep(0)  # not cancelled any more
                return "gone"

        answer = asyncio.create_task(answered())
        await work.begun.wait()
        client.leaves.set()
        assert await answer == "gone"

    asyncio.run(main())


def test_a_server_that_stops_cancels_as_before() -> None:
    async def main() -> None:
        work = Work()
        answer = asyncio.create_task(unless_gone(Client().request, work.run()))
        await work.begun.wait()
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
        assert work.cancelled

    asyncio.run(main())
