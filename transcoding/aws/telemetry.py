"""What the functions say of themselves: JSON lines and metrics on standard output, for CloudWatch.

No key, no address, no name: a source is told from another by a hash of its key.
Source of the metrics' form: Amazon CloudWatch User Guide, "Embedded metric format specification".
"""

import hashlib
import json
import logging
import os
import sys
import time
from typing import Any

NAMESPACE = "ClinicVideo"
_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "aws_request_id"}


class _JsonLines(logging.Formatter):
    """Time, level, message, and whatever the caller named in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _USUAL},
        }
        if record.exc_info and record.exc_info[0]:
            # The kind alone: the words of a foreign exception may name a key or an address.
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


def configure() -> None:
    """Send every log line to standard output in our form, whatever the runtime had set up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
    logging.getLogger("botocore").setLevel(logging.WARNING)


def count(outcome: str, **values: tuple[float, str]) -> None:
    """One line of metrics: each value with its unit, by outcome."""
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
    metrics = {"Runs": (1, "Count"), **values}
    line: dict[str, Any] = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Function"], ["Function", "Outcome"]],
                    "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
                }
            ],
        },
        "Function": function,
        "Outcome": outcome,
        **{name: value for name, (value, _) in metrics.items()},
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def mark(key: str) -> str:
    """Tells one source from another without naming it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]
