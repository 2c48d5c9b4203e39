"""Logging: readable on a terminal, JSON lines otherwise, and never in the way of the event loop.

Records go through a queue to a thread that writes them, so a slow terminal or pipe cannot delay a vote. Every
record of the running node carries the chain and the node; lines about a peer, a view or a height carry those
too, given as `extra`. If the queue overflows, records are dropped and counted rather than kept.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, Self, TextIO

LogFormat = Literal["auto", "console", "json"]

_QUEUE_MAX: Final = 10_000
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "context"}
_COLOURS: Final = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m"}
_RESET: Final = "\x1b[0m"
_SHORT: Final = {"DEBUG": "DBG", "INFO": "INF", "WARNING": "WRN", "ERROR": "ERR", "CRITICAL": "CRT"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, in order."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class ConsoleFormatter(logging.Formatter):
    """`12:04:31.207 INF block committed height=1204 view=0`, local time."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone()
        level = _SHORT.get(record.levelname, record.levelname)
        if self._colour:
            level = f"{_COLOURS.get(record.levelname, '')}{level}{_RESET}"
        fields = " ".join(f"{name}={_one_word(value)}" for name, value in fields_of(record).items())
        line = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} {level} {record.getMessage()}"
        line = f"{line} {fields}" if fields else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, chain, node, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "context", {}),
            **fields_of(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=_plain, ensure_ascii=False)


class _Context(logging.Filter):
    """Adds what every record of this node carries."""

    def __init__(self, context: Mapping[str, str]) -> None:
        super().__init__()
        self._context = dict(context)

    def filter(self, record: logging.LogRecord) -> bool:
        record.context = self._context
        return True


class _QueueHandler(logging.handlers.QueueHandler):
    """Drops what does not fit; the listener says how much once there is room again."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The parent class merges the exception into the message, which would hide it from the JSON formatter.
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class Logging:
    """Logging of one process, from `start` to `stop`; also a context manager."""

    def __init__(
        self,
        *,
        level: str = "info",
        format: LogFormat = "auto",
        context: Mapping[str, str] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        is_terminal = stream.isatty()
        self._handler = logging.StreamHandler(stream)
        if format == "json" or (format == "auto" and not is_terminal):
            self._handler.setFormatter(JsonFormatter())
        else:
            self._handler.setFormatter(ConsoleFormatter(colour=is_terminal))
        self._queue_handler = _QueueHandler(queue.Queue(_QUEUE_MAX))
        self._queue_handler.addFilter(_Context(context or {}))
        self._listener = logging.handlers.QueueListener(self._queue_handler.queue, self._handler)
        self._level = level.upper()

    @property
    def dropped(self) -> int:
        """Records lost because the output did not keep up."""
        return self._queue_handler.dropped

    def start(self) -> Self:
        root = logging.getLogger()
        root.addHandler(self._queue_handler)
        root.setLevel(logging.WARNING)
        logging.getLogger("weal").setLevel(self._level)
        self._listener.start()
        return self

    def stop(self) -> None:
        """Write out what is queued."""
        logging.getLogger().removeHandler(self._queue_handler)
        self._listener.stop()
        if self.dropped:
            self._handler.handle(
                logging.makeLogRecord(
                    {"name": "weal", "levelno": logging.WARNING, "levelname": "WARNING"}
                    | {"msg": f"{self.dropped} log records were dropped: the output did not keep up"}
                )
            )
        self._handler.flush()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _one_word(value: object) -> str:
    text = _plain(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n') else text
