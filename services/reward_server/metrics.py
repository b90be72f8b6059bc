"""What Prometheus can ask this server."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)

REQUESTS = Counter("guerdon_requests_total", "Answers by route and status code", ["route", "code"])
REQUEST_SECONDS = Histogram("guerdon_request_seconds", "Time to answer", ["route"], buckets=SECONDS)
ITEMS = Counter("guerdon_items_total", "Scored items by reward and status", ["reward", "status"])
CACHED = Counter("guerdon_cached_total", "Model results that came from the cache", ["reward"])
QUEUE_WAIT = Histogram("guerdon_queue_seconds", "From publishing a message to its reply", buckets=SECONDS)
IN_FLIGHT = Gauge("guerdon_in_flight", "Distinct items that workers owe an answer for")
RESUBMITTED = Counter("guerdon_resubmitted_total", "Items asked for again", ["reward"])
