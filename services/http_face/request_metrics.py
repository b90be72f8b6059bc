"""What Prometheus can ask of an HTTP face. Labels are names of routes and words of ours, never of a request."""

from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)

REQUESTS = Counter("guerdon_requests_total", "Answers by route and status code", ["route", "code"])
REQUEST_SECONDS = Histogram("guerdon_request_seconds", "Time to answer", ["route"], buckets=SECONDS)
REQUESTS_OPEN = Gauge("guerdon_requests_open", "Requests that have come and are not answered yet")
REFUSED = Counter("guerdon_refused_total", "Requests refused, by reason", ["reason"])

Reason = Literal["not_authorized", "too_large", "too_slow", "invalid", "quota", "overloaded", "unavailable"]
REASONS: dict[int, Reason] = {401: "not_authorized", 403: "not_authorized", 408: "too_slow", 413: "too_large",
                              422: "invalid", 429: "quota", 503: "unavailable"}  # fmt: skip
