"""Logs: JSON lines off a terminal, one readable line on it, never in the way."""

from __future__ import annotations

import io
import json
import logging

import pytest

from node.logs import ConsoleFormatter, JsonFormatter, Logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_carry_context_fields_and_exception() -> None:
    stream = io.StringIO()
    with Logging(level="info", context={"chain": "test", "node": "a"}, stream=stream):
        log = logging.getLogger("weal.test")
        log.info("block %s", "committed", extra={"height": 7, "digest": b"\x01\xff"})
        log.debug("not this one")
        try:
            raise ValueError("what went wrong")
        except ValueError:
            log.exception("failed")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first["message"] == "block committed"
    assert (first["level"], first["chain"], first["node"], first["height"], first["digest"]) == (
        "info",
        "test",
        "a",
        7,
        "01ff",
    )
    assert first["time"].endswith("+00:00")
    assert "ValueError: what went wrong" in second["exception"]


def test_terminal_gets_readable_lines() -> None:
    stream = Terminal()
    with Logging(level="debug", stream=stream):
        logging.getLogger("weal.test").warning("peer lost", extra={"peer": "b", "reason": "no answer"})
    line = stream.getvalue()
    assert "WRN" in line and "\x1b[" in line
    assert line.rstrip().endswith('peer lost peer=b reason="no answer"')


def test_console_format_without_colour_has_no_escapes() -> None:
    record = logging.makeLogRecord({"msg": "x", "levelname": "INFO", "height": 1, "empty": ""})
    assert ConsoleFormatter(colour=False).format(record).endswith(' INF x height=1 empty=""')


def test_libraries_are_heard_from_warnings_on() -> None:
    stream = io.StringIO()
    with Logging(level="debug", format="json", stream=stream):
        logging.getLogger("aiohttp.access").info("chatter")
        logging.getLogger("aiohttp.server").error("trouble")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["trouble"]


def test_what_the_output_cannot_take_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.logs._QUEUE_MAX", 3)
    stream = io.StringIO()
    logging_ = Logging(level="info", stream=stream)
    handler = logging_._queue_handler
    for number in range(10):
        handler.handle(logging.makeLogRecord({"msg": f"m{number}"}))
    assert logging_.dropped == 7
    logging_.start()
    logging_.stop()
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages[:3] == ["m0", "m1", "m2"]
    assert "7 log records were dropped" in messages[-1]


def test_json_never_fails_on_odd_values() -> None:
    record = logging.makeLogRecord({"msg": "x", "thing": object(), "text": "é\n"})
    assert json.loads(JsonFormatter().format(record))["text"] == "é\n"
