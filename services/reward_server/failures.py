"""Say in a worker's log what failed, by status; never why, because reasons quote what was scored."""

import logging
from collections import Counter
from collections.abc import Iterable

from reward_server.boundary import Outcome

log = logging.getLogger("guerdon.worker")


def log_failed(reward: str, outcomes: Iterable[tuple[str, Outcome]]) -> None:
    """Write one line if any of these (content id, outcome) failed; within `travel.arrived` it names the requests."""
    failed = Counter(outcome["status"] for _, outcome in outcomes if outcome["status"] != "ok")
    if failed:
        told = {"reward": reward, **failed}
        log.info("%d items failed", failed.total(), extra={"fields": told})
