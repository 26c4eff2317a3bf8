"""What the commands for local files share."""

import sys
from pathlib import Path
from typing import NoReturn

from django.core.management.base import CommandError, CommandParser

from transcoding.engine.contracts import FailureCode, Limits

BAD_INPUT = 2
"""Exit status for a video that is itself at fault; 1 is a fault of ours or of the command line."""


def refused_unopened(source: Path, limits: Limits) -> FailureCode | None:
    """Why a file is not even looked into; None if it may be."""
    if not source.exists():
        return FailureCode.SOURCE_MISSING
    if not source.is_file():  # a device or a pipe would never end
        return FailureCode.NOT_A_VIDEO
    if source.stat().st_size > limits.source_bytes:
        return FailureCode.TOO_LARGE
    return None


def ending_with_one(parser: CommandParser) -> CommandParser:
    """argparse would end a wrong command line with 2, which here says that the video is bad."""

    def error(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        raise CommandError(message)

    parser.error = error  # type: ignore[method-assign]
    return parser
