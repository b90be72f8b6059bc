"""Rate limits that all replicas share, in Redis, by its own clock."""

from judge_server.limits.rate_limit import BURST_S
from judge_server.redis_scripts import Scripts

SCRIPT = "limits/rate_limit.lua"


class SharedRates:
    """Buckets in Redis, one pair for each judge."""

    def __init__(self, scripts: Scripts, judge: str, rpm: int | None, tpm: int | None) -> None:
        self._scripts = scripts
        self._keys = [f"guerdon:judge-rate:{judge}:{what}" for what in ("requests", "tokens")]
        self._limits = rpm or 0, tpm or 0

    async def book(self, requests: int, tokens: float) -> float:
        """Return the seconds to wait. Raises CallFailed where Redis does not say."""
        amounts = (requests, f"{tokens:.3f}")
        return float(await self._scripts.run(SCRIPT, self._keys, "book", *self._limits, *amounts, BURST_S)) / 1e6

    async def refund(self, requests: int, tokens: float) -> None:
        """Raises CallFailed where Redis does not answer."""
        await self._scripts.run(SCRIPT, self._keys, "refund", *self._limits, requests, f"{tokens:.3f}", BURST_S)
