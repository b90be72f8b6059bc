"""OpenTelemetry spans that cross the queue; none where its packages are missing or no exporter is configured.

OpenTelemetry's own environment configures them: with OTEL_TRACES_EXPORTER set and the SDK installed, the SDK sets
itself up; under `opentelemetry-instrument` it has done so already. The API's requests are FastAPI's spans, a worker's
messages are ours.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)

_tracer: "Tracer | None" = None

QUIET: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
"""Messages of exceptions may quote texts; spans carry their types only."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that machines ask for every few seconds: neither lines nor spans."""
FASTAPI: "TelemetryConfig" = {
    "logs": False,  # they hold messages of exceptions
    "operation_spans": False,
    "exclude": lambda scope: scope["path"] in PROBES,
}
"""What FastAPI's own telemetry should leave out."""


def start(service: str) -> None:
    """Let this process record spans if its environment asks for them.

    Args:
        service: its name in traces, where OTEL_SERVICE_NAME gives no other.

    Raises:
        ValueError: the exporter that is asked for is not installed.
    """
    global _tracer
    try:
        from opentelemetry import trace
    except ModuleNotFoundError:
        return
    if _wanted() and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        os.environ.setdefault("OTEL_SERVICE_NAME", service)
        _configure()
    _tracer = trace.get_tracer("guerdon")


def _wanted() -> bool:
    return os.environ.get("OTEL_TRACES_EXPORTER", "none").strip().lower() not in {"", "none"}


def _configure() -> None:
    """Have the SDK configure itself as its distribution's `opentelemetry-instrument` does, by the same class."""
    try:
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator
    except ModuleNotFoundError:
        log.warning("OTEL_TRACES_EXPORTER is set, but opentelemetry-sdk is not installed: there will be no traces")
        return
    configurator: Any = _OTelSDKConfigurator
    try:
        configurator().configure()
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"OTEL_TRACES_EXPORTER: {error}; is its package installed?") from error


def trace_id() -> str | None:
    """Return the current trace's id in hex, if there is a trace."""
    if _tracer is None:
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def injected() -> dict[str, str]:
    """Return the current trace context as W3C headers (traceparent, tracestate)."""
    if _tracer is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


@contextmanager
def working(reward: str, items: int, carriers: Sequence[Mapping[str, str]]) -> Iterator[None]:
    """Record a message's work as a span: a child of the request it is for, or linked to each of several."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span

    contexts = [_extracted(carrier) for carrier in carriers]
    spans = [get_current_span(one).get_span_context() for one in contexts]
    links = [Link(one) for one in spans if one.is_valid] if len(contexts) > 1 else []
    parent = contexts[0] if len(contexts) == 1 else None
    attributes: dict[str, Any] = {"guerdon.reward": reward, "guerdon.items": items}
    with _tracer.start_as_current_span(
        f"score {reward}", parent, SpanKind.CONSUMER, attributes, links, **QUIET
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


def _extracted(carrier: Mapping[str, str]) -> "Context":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carrier)
