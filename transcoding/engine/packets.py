"""Every packet of our own MP4: its times, and what hides in its pictures."""

import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from transcoding.engine import boxes
from transcoding.engine.binaries import find_ffprobe
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput, ConverterKilled
from transcoding.engine.probe import OnRun, OnTick, guarded
from transcoding.engine.run import Budget, run

_ENTRIES = "packet=codec_type,pts_time,dts_time,size,pos,flags"
_BYTES_PER_SECOND = 64 * 1024
"""Of ffprobe's answer, for each second of the film: enough for a thousand packets."""
_LEAST_BYTES = 4 * 1024**2
_SEI = 6
_NAL_TYPE = 0x1F
"""Of the first byte of a NAL unit. Source: ITU-T H.264, table 7-1."""


@dataclass(kw_only=True)
class Packets:
    """Packets of the one video and the one audio track. Seconds and bytes."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    """Presentation time of each frame, rising."""
    keyframes: "array[float]" = field(default_factory=lambda: array("d"))
    """Presentation times of those frames from which decoding can start, rising."""
    places: "array[int]" = field(default_factory=lambda: array("q"))
    """Offset and size of each video packet in turn."""
    sounds: int = 0
    flaws: set[str] = field(default_factory=set)
    """What is wrong with the order of time."""


def read(mp4: Path, limits: Limits, on_run: OnRun, on_tick: OnTick) -> Packets:
    """Read the MP4 from end to end. Raises BadInput (`output_invalid`) if that cannot be done."""
    reader = _Reader()
    arguments = [*guarded("mov", limits), "-show_entries", _ENTRIES, "-of", "compact=p=0:nk=1"]
    done = run(
        find_ffprobe(),
        [*arguments, f"file:{mp4.name}"],
        folder=mp4.parent,
        budget=Budget(
            seconds=limits.seconds,
            stall_seconds=limits.stall_seconds,
            memory_bytes=limits.memory_bytes,
            file_bytes=0,
            stdout_bytes=_LEAST_BYTES + int(limits.duration * _BYTES_PER_SECOND),
        ),
        on_output=reader.hear,
        on_tick=on_tick,
    )
    on_run(done)
    if done.killed_from_outside:
        raise ConverterKilled("ffprobe was killed by something outside the engine.")
    if not done.succeeded or done.log:
        raise BadInput(FailureCode.OUTPUT_INVALID, f"The output cannot be read to its end. {done.log}")
    return reader.packets()


class _Reader:
    """Takes in ffprobe's lines as they come, and keeps numbers only."""

    def __init__(self) -> None:
        self._found = Packets()
        self._rest = b""
        self._last = {b"video": float("-inf"), b"audio": float("-inf")}

    def hear(self, chunk: bytes) -> bool:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        return True

    def packets(self) -> Packets:
        found = self._found
        found.times = array("d", sorted(found.times))
        found.keyframes = array("d", sorted(found.keyframes))
        if any(after <= before for before, after in pairwise(found.times)):
            found.flaws.add("two frames are shown at the same time")
        if not found.keyframes:
            found.flaws.add("there is no key frame")
        return found

    def _take(self, line: bytes) -> None:
        kind, *values = line.split(b"|")
        if kind not in self._last or len(values) < 5:  # noqa: PLR2004 - the entries asked for
            return
        try:
            shown, decoded = float(values[0]), float(values[1])
            size, place = int(values[2]), int(values[3])
        except ValueError:
            self._found.flaws.add("a packet has no time or no place")
            return
        if decoded <= self._last[kind]:
            self._found.flaws.add(f"the time stamps of the {kind.decode()} do not rise")
        self._last[kind] = decoded
        if kind == b"audio":
            self._found.sounds += 1
            return
        self._found.times.append(shown)
        self._found.places.extend((place, size))
        if b"K" in values[4]:
            self._found.keyframes.append(shown)
        if b"D" in values[4]:
            self._found.flaws.add("frames are hidden by an edit list")


def hides_messages(mp4: Path, packets: Packets) -> bool:
    """Whether any picture carries SEI units, where cameras write positions and encoders their settings."""
    length = boxes.nal_length_size(mp4)
    places = packets.places
    with mp4.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(
            _SEI in _nal_types(content, place, place + size, length)
            for place, size in zip(places[::2], places[1::2], strict=True)
        )


def _nal_types(content: mmap.mmap, at: int, end: int, length: int) -> Iterator[int]:
    end = min(end, len(content))
    while at + length < end:
        yield content[at + length] & _NAL_TYPE
        at += length + int.from_bytes(content[at : at + length], "big")
