"""Say what a local video is and what would be done with it: `manage.py probe INPUT [--json]`."""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from transcoding.engine.contracts import Limits, Outcome
from transcoding.engine.convert import Converted, examine
from transcoding.engine.errors import TransientFault
from transcoding.engine.facts import AudioStream, VideoStream
from transcoding.engine.messages import explain
from transcoding.management.local import BAD_INPUT, ending_with_one, refused_unopened


class Command(BaseCommand):
    help = "Print the facts about a local video, and what would be copied or encoded, and why."
    requires_system_checks: list[str] = []  # needs neither bucket nor database

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return ending_with_one(super().create_parser(prog_name, subcommand, **kwargs))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("input", type=Path, metavar="INPUT", help="the video, as the phone sent it")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object on the last line of standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = _examined(options["input"])
        if options["json"]:
            self.stdout.write(json.dumps(_report(found)))
        else:
            for line in _lines(found):
                self.stdout.write(line)
        if found.code:
            if not options["json"]:
                self.stderr.write(f"{found.code}: {explain(found.code)}")
            sys.exit(BAD_INPUT)


def _examined(source: Path) -> Converted:
    limits = Limits()
    if refused := refused_unopened(source, limits):
        return Converted(code=refused)
    try:
        with tempfile.TemporaryDirectory(prefix="probe-") as folder:
            return examine(source, Path(folder), limits)
    except (TransientFault, OSError) as fault:
        raise CommandError(str(fault)) from fault


def _report(found: Converted) -> dict[str, Any]:
    code = found.code
    return {
        "outcome": Outcome.FAILED if code else Outcome.SUCCEEDED,
        "code": code,
        "message": explain(code) if code else "",
        "video": found.video,
        "audio": found.audio,
        "reasons": list(found.reasons),
        "facts": asdict(found.facts) if found.facts else {},
        "plan": asdict(found.plan) if found.plan else {},
    }


def _lines(found: Converted) -> Iterator[str]:
    if found.facts:
        lasts = "of unknown length" if found.facts.duration is None else f"{found.facts.duration:.3f} s"
        yield f"{found.facts.container}, {found.facts.size} bytes, {lasts}"
        yield from map(_video_line, found.facts.video)
        yield from map(_audio_line, found.facts.audio)
    if found.plan:
        size = f"{found.plan.video.width}x{found.plan.video.height}"
        yield f"video: {found.video}, {size}; audio: {found.audio}"
        yield from (f"  {reason}" for reason in found.reasons)


def _video_line(stream: VideoStream) -> str:
    level = f" level {stream.level / 10}" if stream.level and stream.codec == "h264" else ""
    rate = f", {stream.frame_rate:.2f} frames a second" if stream.frame_rate else ""
    turn = f", turned by {stream.rotation} degrees" if stream.rotation else ""
    what = " ".join(part for part in (stream.codec or "unknown", stream.profile, stream.pixel_format) if part)
    return f"stream {stream.index}: {what}{level}, {stream.width}x{stream.height}{rate}{turn}"


def _audio_line(stream: AudioStream) -> str:
    what = " ".join(part for part in (stream.codec or "unknown", stream.profile) if part)
    return f"stream {stream.index}: {what}, {stream.channels} channels, {stream.sample_rate} Hz"
