"""Hold tenants to their own limits, which all API processes share through Redis."""

import math
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from http_face.refused import OverQuota, Refused, Unavailable
from reward_server.round_trips import RoundTrips, Script
from reward_server.tenants import Tenant

SCRIPT = Script.read("quota.lua")
GRACE_S = 10.0
"""How long after its deadline work that was never released is taken for gone, with the process that did it."""


class Quotas:
    """Tenants without limits cost nothing; the others one round trip for a request."""

    def __init__(self, trips: RoundTrips) -> None:
        self._trips = trips

    async def admit(self, tenant: Tenant, items: int, work: str, deadline: float) -> None:
        """Count a request of so many items; they are in flight under the id `work` until it is released.

        The same id again is the same work, and in flight once.

        Raises:
            OverQuota: not now.
            Refused: so many items at once never.
            Unavailable: Redis does not say.
        """
        if not tenant.limited:
            return
        _refuse_too_many(tenant, items)
        limits = (tenant.requests_per_minute or 0, tenant.items_per_minute or 0, tenant.max_in_flight or 0)
        left_ms = int(1000 * (max(0.0, deadline - time.time()) + GRACE_S))
        try:
            answer = await self._trips.call(SCRIPT, _keys(tenant), "admit", work, items, *limits, left_ms)
        except RedisError as error:
            raise Unavailable(f"the limits of {tenant.name} cannot be looked up: {type(error).__name__}") from error
        if answer:
            limit = answer[0].decode()
            after_s = max(1, math.ceil(answer[1] / 1000))
            raise OverQuota(f"{limit} of {tenant.name} is {getattr(tenant, limit)}", after_s)

    def release(self, tenant: Tenant, work: str) -> None:
        """Take work that has ended off the tenant's items in flight."""
        if tenant.max_in_flight is not None:
            self._trips.post(SCRIPT, _keys(tenant), "release", work)

    @asynccontextmanager
    async def held(self, tenant: Tenant, items: int, deadline: float) -> AsyncIterator[None]:
        """Count a request, and have its items in flight for as long as the block lasts. Raises as `admit` does."""
        work = uuid.uuid4().hex
        try:
            await self.admit(tenant, items, work, deadline)
            yield
        finally:
            self.release(tenant, work)


def _refuse_too_many(tenant: Tenant, items: int) -> None:
    for limit in ("items_per_minute", "max_in_flight"):
        most = getattr(tenant, limit)
        if most is not None and items > most:
            raise Refused("items", f"{items} items; {limit} of {tenant.name} is {most}: send fewer in one request")


def _keys(tenant: Tenant) -> list[str]:
    return [f"guerdon:quota:{tenant.name}:{what}" for what in ("requests", "items", "flight", "weights")]
