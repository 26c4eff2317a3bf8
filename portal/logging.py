"""Logs that can be shown to anyone: JSON lines without tokens, request objects or query strings."""

import logging
import re
from datetime import UTC, datetime

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

SECRETS = re.compile(r"(/u/|/reset/key/|/confirm-email/)[^/\s\"'?]+|(\?)[^\s\"']+")


def without_secrets(text: str) -> str:
    return SECRETS.sub(lambda found: f"{found[1] or found[2]}…", text)


class NoSecrets(logging.Filter):
    """Cut what opens a door, in message and `extra`: a token in a path, a signature in a query string."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = record.getMessage()
        record.args = None
        for name, value in record.__dict__.items():
            if isinstance(value, str):
                record.__dict__[name] = without_secrets(value)
        # Django attaches the request, whose representation holds the whole path.
        record.__dict__.pop("request", None)
        return True


class JsonFormatter(BaseJsonFormatter):
    """Time, level, logger and message, then whatever the caller named in `extra`."""

    def __init__(self) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def formatException(self, ei: object) -> str:  # noqa: N802 - the name is logging's
        return without_secrets(super().formatException(ei))  # type: ignore[arg-type]
