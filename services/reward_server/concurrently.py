"""Await several things at once, and leave none of them running when one fails."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def concurrently(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Return the results in order; the first exception cancels the others and is raised as it is."""
    several = list(work)
    if len(several) == 1:  # the common case, without the cost of a task
        return [await several[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in several]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
