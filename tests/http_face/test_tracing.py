import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.testclient import TestClient

from http_face import tracing
from http_face.request_ids import REQUEST_IDS
from http_face.request_log import RequestLog
from reward_server.travel import MOST, arrived, travelling


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # possible once in a process
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    monkeypatch.setattr(tracing, "_tracer", None)
    tracing.start("test")
    exporter.clear()
    yield exporter
    monkeypatch.undo()


@pytest.fixture
def http() -> Iterator[TestClient]:
    """An API whose answer is what it would put on the queue."""
    app = FastAPI(telemetry=tracing.FASTAPI)
    app.add_api_route("/v1/score", travelling, methods=["POST"])
    app.add_api_route("/healthz", travelling)
    app.add_middleware(RequestLog)
    with TestClient(app) as client:
        yield client


def of_kind(spans: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.kind is kind]


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def test_a_request_and_its_work_are_one_trace(http: TestClient, spans: InMemorySpanExporter) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    travel = http.post("/v1/score", headers={"traceparent": caller}).json()
    with arrived([travel], "helpful", 3):
        pass
    [server], [consumer] = of_kind(spans, SpanKind.SERVER), of_kind(spans, SpanKind.CONSUMER)
    assert trace_of(server) == trace_of(consumer) == 0x0AF7651916CD43DD8448EB211C80319C
    assert server.context is not None
    assert consumer.parent is not None
    assert consumer.parent.span_id == server.context.span_id
    assert server.name == "POST /v1/score"
    assert consumer.name == "score helpful"
    assert dict(consumer.attributes or {}) == {"guerdon.reward": "helpful", "guerdon.items": 3}


def test_work_for_several_requests_is_linked_to_each_of_them(http: TestClient, spans: InMemorySpanExporter) -> None:
    travels = [http.post("/v1/score").json() for _ in range(3)]
    with arrived([*travels, travels[0]], "helpful", 3):
        pass
    [consumer] = of_kind(spans, SpanKind.CONSUMER)
    assert consumer.parent is None
    linked = [link.context.trace_id for link in consumer.links]
    assert linked == [trace_of(server) for server in of_kind(spans, SpanKind.SERVER)]


def test_probes_are_no_spans(http: TestClient, spans: InMemorySpanExporter) -> None:
    http.get("/healthz")
    assert spans.get_finished_spans() == ()


def test_a_failure_is_on_its_span_by_type_and_without_its_message(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="canary"), arrived([], "helpful", 1):
        raise ValueError("canary-text")
    [consumer] = of_kind(spans, SpanKind.CONSUMER)
    assert not consumer.status.is_ok
    assert (consumer.attributes or {})["error.type"] == "ValueError"
    assert "canary-text" not in consumer.to_json()


def test_a_line_logged_at_work_names_the_trace_and_the_requests(http: TestClient, spans: InMemorySpanExporter) -> None:
    travels = [http.post("/v1/score", headers={"x-request-id": one}).json() for one in ("first", "second")]
    with arrived(travels, "helpful", 2):
        assert REQUEST_IDS.get() == ("first", "second")
        told = tracing.trace_id()
    assert REQUEST_IDS.get() == ()
    [consumer] = of_kind(spans, SpanKind.CONSUMER)
    assert told == trace.format_trace_id(trace_of(consumer))


@pytest.mark.parametrize(
    "travels",
    [None, 5, "text", {}, [None, 5, []], [{"request_id": 5}], [{"request_id": "a\nb"}], [{"traceparent": "nonsense"}]],
)
def test_what_another_version_sent_along_does_no_harm(travels: object, spans: InMemorySpanExporter) -> None:
    with arrived(travels, "helpful", 1):
        assert REQUEST_IDS.get() == ()
    assert len(of_kind(spans, SpanKind.CONSUMER)) == 1


def test_a_message_names_a_bounded_number_of_requests() -> None:
    with arrived([{"request_id": str(index)} for index in range(1000)], "helpful", 1):
        assert len(REQUEST_IDS.get()) == MOST


def test_what_travels_is_short_however_long_the_callers_headers_are(
    http: TestClient, spans: InMemorySpanExporter
) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    long = ",".join(f"vendor{index}={'x' * 200}" for index in range(30))
    travel = http.post("/v1/score", headers={"traceparent": caller, "tracestate": long}).json()
    assert travel.keys() == {"request_id", "traceparent"}


def test_where_tracing_was_not_started_only_the_request_id_travels(http: TestClient) -> None:
    travel = http.post("/v1/score", headers={"x-request-id": "mine"}).json()
    assert travel == {"request_id": "mine"}
    with arrived([travel], "helpful", 1):
        assert REQUEST_IDS.get() == ("mine",)


def started(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Start tracing in a process of its own, with this environment and no other OpenTelemetry variable."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = f"from http_face import tracing; from reward_server.travel import arrived\n{code}"
    return subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, env=clean | env, check=False, timeout=60
    )


WORK = "tracing.start('guerdon-test')\nwith arrived([], 'helpful', 1): pass"


def test_the_standard_variables_set_an_exporter_up() -> None:
    ended = started(WORK, OTEL_TRACES_EXPORTER="console")
    assert '"name": "score helpful"' in ended.stdout
    assert '"service.name": "guerdon-test"' in ended.stdout


def test_a_service_name_of_the_operators_stays() -> None:
    ended = started(WORK, OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="mine")
    assert '"service.name": "mine"' in ended.stdout


@pytest.mark.parametrize("exporter", ["", "none"])
def test_without_an_exporter_nothing_is_set_up(exporter: str) -> None:
    sdk = "\nimport sys; print('opentelemetry.sdk' in sys.modules)"
    assert started(WORK + sdk, OTEL_TRACES_EXPORTER=exporter).stdout == "False\n"


def test_an_exporter_that_is_not_installed_is_a_wrong_configuration() -> None:
    ended = started("try: tracing.start('x')\nexcept ValueError as error: print(error)", OTEL_TRACES_EXPORTER="nowhere")
    assert "nowhere" in ended.stdout


def test_without_the_packages_nothing_fails() -> None:
    absent = "import sys; sys.modules['opentelemetry'] = None\n"
    ended = started(absent + WORK + "\nprint('done')", OTEL_TRACES_EXPORTER="console")
    assert ended.stdout == "done\n"


def test_without_the_sdk_there_is_a_warning_and_no_trace() -> None:
    absent = "import sys; sys.modules['opentelemetry.sdk'] = None\n"
    ended = started(absent + WORK + "\nprint('done')", OTEL_TRACES_EXPORTER="console")
    assert ended.stdout == "done\n"
    assert "opentelemetry-sdk is not installed" in ended.stderr
