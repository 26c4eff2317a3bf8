"""Convert one local file with the engine: `manage.py transcode INPUT OUTPUT [--json]`."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from transcoding.engine.contracts import Limits, OnProgress, Outcome
from transcoding.engine.convert import Converted, convert
from transcoding.engine.errors import TransientFault
from transcoding.engine.messages import explain
from transcoding.engine.transfer import sha256
from transcoding.management.local import BAD_INPUT, ending_with_one, refused_unopened


class Command(BaseCommand):
    help = "Convert a local video to an MP4 that every browser plays."
    requires_system_checks: list[str] = []  # a conversion needs neither bucket nor database

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return ending_with_one(super().create_parser(prog_name, subcommand, **kwargs))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("input", type=Path, metavar="INPUT", help="the video, as the phone sent it")
        parser.add_argument("output", type=Path, metavar="OUTPUT", help="the MP4 to write or replace")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object on the last line of standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source, output, started = options["input"], options["output"], time.monotonic()
        with _ending_on_sigterm(), _folder_beside(output, source) as folder, _progress_bar() as on_progress:
            converted = _convert(source, folder, on_progress)
            if converted.code:
                output.unlink(missing_ok=True)  # an older file must not pass for this video's conversion
            report = _report(converted, output, time.monotonic() - started)
            if converted.mp4:
                converted.mp4.replace(output)
        self._say(report, as_json=options["json"])
        if converted.code:
            sys.exit(BAD_INPUT)

    def _say(self, report: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report))
        elif report["outcome"] == Outcome.SUCCEEDED:
            made = report["output"]
            seconds = f"{made['duration']:.1f} s of video in {report['seconds']:.1f} s"
            self.stdout.write(f"{made['path']}: {made['width']}x{made['height']}, {seconds}")
        else:
            self.stderr.write(f"{report['code']}: {report['message']}")


def _convert(source: Path, folder: Path, on_progress: OnProgress) -> Converted:
    limits = Limits()
    if refused := refused_unopened(source, limits):
        return Converted(code=refused)
    try:
        return convert(source, folder, limits, on_progress, with_poster=False)
    except (TransientFault, OSError) as fault:
        raise CommandError(str(fault)) from fault


def _report(converted: Converted, output: Path, seconds: float) -> dict[str, Any]:
    code = converted.code
    return {
        "outcome": Outcome.FAILED if code else Outcome.SUCCEEDED,
        "code": code,
        "message": explain(code) if code else "",
        "video": converted.video,
        "audio": converted.audio,
        "reasons": list(converted.reasons),
        "facts": asdict(converted.facts) if converted.facts else {},
        "output": _output(converted, output),
        "seconds": round(seconds, 3),
    }


def _output(converted: Converted, output: Path) -> dict[str, Any] | None:
    if converted.mp4 is None or converted.made is None:
        return None
    video = converted.made.video[0]
    return {
        "path": str(output),
        "size": converted.mp4.stat().st_size,
        "sha256": sha256(converted.mp4),
        "width": video.width,
        "height": video.height,
        "duration": converted.made.duration,
    }


@contextmanager
def _folder_beside(output: Path, source: Path) -> Iterator[Path]:
    """A work folder on the output's own file system, so that putting it in place is one rename."""
    if output.is_dir():
        raise CommandError("OUTPUT is a folder; give the name of the file to write.")
    if output.exists() and source.exists() and output.samefile(source):
        raise CommandError("OUTPUT is INPUT; the video would be lost.")
    try:
        folder = Path(tempfile.mkdtemp(prefix=".transcode-", dir=output.parent))
    except OSError as error:
        raise CommandError(
            f"Nothing can be written beside OUTPUT: {os.strerror(error.errno or 0)}."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress_bar() -> Iterator[OnProgress]:
    """On a terminal only, and on standard error, which leaves standard output to the answer."""
    columns = (TextColumn("Converting"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda fraction: progress.update(task, completed=fraction)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that ffmpeg is killed and the work folder removed."""

    def end(number: int, frame: object) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
