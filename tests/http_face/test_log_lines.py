import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_face import log_lines
from http_face.log_lines import JsonLine, TextLine
from http_face.request_ids import REQUEST_IDS, acceptable, request_id

FORMATTERS = [TextLine(), JsonLine()]
CANARY = "canary-text"


def line(formatter: logging.Formatter, say: Callable[[logging.Logger], None], name: str = "guerdon.test") -> str:
    """What a handler with this formatter writes when `say` logs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger(name, logging.DEBUG)
    logger.addHandler(handler)
    say(logger)
    return stream.getvalue()


def quoting(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        raise KeyError(text) from error


@given(st.text(), st.text())
def test_a_json_line_is_one_line_and_says_all_of_it(message: str, run: str) -> None:
    written = line(JsonLine(), lambda log: log.info("%s", message, extra={"fields": {"run": run}}))
    assert written.splitlines(keepends=True) == [written]
    told = json.loads(written)
    assert (told["level"], told["logger"], told["message"], told["run"]) == ("INFO", "guerdon.test", message, run)


@given(st.text(), st.text())
def test_a_text_line_is_one_line_whatever_is_in_it(message: str, run: str) -> None:
    written = line(TextLine(), lambda log: log.info("%s", message, extra={"fields": {"run": run}}))
    assert written.splitlines(keepends=True) == [written]
    assert written.rstrip("\n").isprintable()


def test_a_field_with_a_newline_cannot_look_like_two_lines() -> None:
    fields = {"run": "a\n2026-01-01 00:00:00,000Z ERROR guerdon.api forged"}
    written = line(TextLine(), lambda log: log.info("x", extra={"fields": fields}))
    assert r'run="a\n2026-01-01' in written


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_exception_is_written_as_types_and_frames_without_its_message(formatter: logging.Formatter) -> None:
    def say(log: logging.Logger) -> None:
        try:
            quoting(CANARY)
        except KeyError:
            log.exception("it failed")

    written = line(formatter, say)
    assert CANARY not in written
    assert "ValueError" in written
    assert "KeyError" in written
    assert "in quoting" in written


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_endless_recursion_with_a_thousand_causes_is_written_in_few_lines(formatter: logging.Formatter) -> None:
    def deeper() -> None:
        deeper()

    def say(log: logging.Logger) -> None:
        try:
            deeper()
        except RecursionError as error:
            last: BaseException = error
            for _ in range(1000):
                last.__cause__ = KeyError(CANARY)
                last = last.__cause__
            log.exception("it failed")

    written = line(formatter, say)
    assert "RecursionError" in written
    assert 1 <= written.count("in deeper") <= log_lines.MOST_FRAMES
    assert 1 <= written.count("KeyError") <= log_lines.MOST_CAUSES


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("name", ["celery.app.trace", "kombu.mixins", "asyncio"])
def test_of_wordy_libraries_only_their_own_words_are_kept(formatter: logging.Formatter, name: str) -> None:
    def say(log: logging.Logger) -> None:
        log.error("Task %(name)s raised: %(exc)s\nbody", {"name": "t", "exc": CANARY}, extra={"fields": {"a": CANARY}})
        log.warning(f"exception was never retrieved\nfuture: {CANARY}")

    written = line(formatter, say, name)
    assert CANARY not in written
    assert "never retrieved" in written


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_fields_that_libraries_add_are_not_written(formatter: logging.Formatter) -> None:
    assert CANARY not in line(formatter, lambda log: log.info("x", extra={"data": CANARY}))
    assert CANARY not in line(formatter, lambda log: log.info("x", extra={"fields": {"a": CANARY}}), "openai")


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_line_names_the_requests_it_was_written_for(formatter: logging.Formatter) -> None:
    token = REQUEST_IDS.set(("one", "two"))
    try:
        written = line(formatter, lambda log: log.info("x"))
    finally:
        REQUEST_IDS.reset(token)
    assert "one two" in written


def test_a_thread_that_ends_by_an_exception_says_so_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    before, threading.excepthook = threading.excepthook, log_lines._thread_ended
    try:
        thread = threading.Thread(target=quoting, args=(CANARY,))
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    [record] = caplog.records
    assert record.message == "a thread ended"
    assert CANARY not in TextLine().format(record)


def configured(log_format: str = "text", log_level: str = "INFO") -> list[str]:
    code = (
        "import logging; from http_face import log_lines\n"
        f"log_lines.configure({log_format!r}, {log_level!r})\n"
        "for name in ('guerdon.x', 'reward_server.x', 'openai'):\n"
        "    for level in (10, 20, 30): logging.getLogger(name).log(level, 'level %d', level)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stderr.splitlines()


def test_the_level_is_for_our_own_loggers_and_libraries_are_heard_from_warning_on() -> None:
    told = [json.loads(one) for one in configured(log_format="json", log_level="DEBUG")]
    heard = [(one["logger"], one["level"]) for one in told]
    assert [level for name, level in heard if name == "guerdon.x"] == ["DEBUG", "INFO", "WARNING"]
    assert [level for name, level in heard if name == "reward_server.x"] == ["DEBUG", "INFO", "WARNING"]
    assert [level for name, level in heard if name == "openai"] == ["WARNING"]


def test_a_higher_level_silences_everybody_below_it() -> None:
    assert configured(log_level="ERROR") == []


@given(st.text(max_size=140))
def test_an_id_is_taken_over_only_where_it_is_visible_ascii_and_short(given_id: str) -> None:
    sound = 0 < len(given_id) <= 128 and given_id.isascii() and given_id.isprintable() and " " not in given_id
    assert acceptable(given_id) == sound
    assert (request_id(given_id) == given_id) == sound
    assert acceptable(request_id(given_id))
