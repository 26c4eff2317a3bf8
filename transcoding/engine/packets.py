"""Every packet of our own MP4: its times, its place, and what hides in its pictures.

Read from the tables of the index, as a browser does, and from the packets themselves; without a demuxer,
which would take as long as the copy itself.
Source: ISO/IEC 14496-12, sections 8.6.1 (times), 8.6.2 (key frames), 8.6.6 (edit list) and 8.7 (places).
"""

import mmap
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

from transcoding.engine import boxes
from transcoding.engine.contracts import FailureCode
from transcoding.engine.errors import BadInput

_MOST_INDEX = 256 * 1024**2
"""Bytes: an index has some twenty for each packet."""
_IDR, _SEI, _SEQUENCE_PARAMETERS = 5, 6, 7
_NAL_TYPE = 0x1F
"""Of the first byte of a NAL unit. Source: ITU-T H.264, table 7-1."""


@dataclass(kw_only=True)
class Packets:
    """Packets of the one video and the one audio track. Seconds and bytes."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    """Presentation time of each frame, rising."""
    keyframes: "array[float]" = field(default_factory=lambda: array("d"))
    """Presentation times of those frames from which decoding can start, rising."""
    restarts: "array[float]" = field(default_factory=lambda: array("d"))
    """Of those the ones where decoding starts afresh: no frame after them needs one before them."""
    sounds: int = 0
    flaws: set[str] = field(default_factory=set)
    """What is wrong with order, place or content."""


def read(mp4: Path) -> Packets:
    """Read the packets of a whole MP4. Raises BadInput (`output_invalid`) if its index makes no sense."""
    found = Packets()
    stream = _Stream(length=boxes.nal_length_size(mp4), parameters=boxes.sequence_parameters(mp4))
    try:
        with mp4.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            movie = next(boxes.descend(file, boxes.whole_of(mp4), (b"moov",)))
            for track in boxes.descend(file, movie, (b"trak",)):
                _Track(file, track, movie).read_into(found, content, stream)
    except (struct.error, IndexError, ValueError, OverflowError, StopIteration) as error:
        raise BadInput(FailureCode.OUTPUT_INVALID, "The index of the output makes no sense.") from error
    if not found.keyframes:
        found.flaws.add("there is no key frame")
    return found


@dataclass(frozen=True, kw_only=True)
class _Stream:
    """What the header of the video says of its packets."""

    length: int
    """Bytes before each NAL unit that tell its own."""
    parameters: list[bytes]
    """Sequence parameter sets: size, profile, …"""

    def units(self, content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(type, begin, end) of each NAL unit of a packet; of type 0 at the end if they do not fill it."""
        while at + self.length < min(end, len(content)):
            begin = at + self.length
            at = begin + int.from_bytes(content[at:begin], "big")
            yield content[begin] & _NAL_TYPE, begin, at
        if at != end:
            yield 0, at, end


class _Track:
    """The tables of one track."""

    def __init__(self, file: BinaryIO, track: boxes.Box, movie: boxes.Box) -> None:
        self._file = file
        self._track = track
        self._scale = boxes.timescale(file, track, (b"mdia", b"mdhd"))
        self._movie_scale = boxes.timescale(file, movie, (b"mvhd",))
        if not (self._scale and self._movie_scale):
            raise ValueError

    def _box(self, *path: bytes) -> bytes:
        return boxes.content_of(self._file, self._track, path, _MOST_INDEX)

    def _table(self, kind: bytes) -> bytes:
        return self._box(b"mdia", b"minf", b"stbl", kind)

    def read_into(self, found: Packets, content: mmap.mmap, stream: _Stream) -> None:
        sizes = self._sizes(len(content))
        places = self._places(sizes)
        kind = self._box(b"mdia", b"hdlr")[8:12]
        if any(place + size > len(content) for place, size in zip(places, sizes, strict=True)):
            found.flaws.add("a packet lies outside the file")
        if any(lasts <= 0 for lasts in self._lasting(len(sizes))[:-1]):
            found.flaws.add(f"the time stamps of the {'video' if kind == b'vide' else 'audio'} do not rise")
        if kind != b"vide":
            found.sounds += len(sizes)
            return
        fresh = _look_into(content, list(zip(places, sizes, strict=True)), stream, found.flaws)
        self._take_pictures(found, len(sizes), fresh)

    def _take_pictures(self, found: Packets, count: int, fresh: set[int]) -> None:
        """`fresh`: numbers of those that need none before them."""
        shown = self._shown(count)
        delay, begin, end = self._edit()
        if any(time < begin or time >= end for time in shown):
            found.flaws.add("frames are hidden by an edit list")
        times = [delay + (time - begin) / self._scale for time in shown]
        keys = self._keys(count)
        found.keyframes.extend(sorted(times[number] for number in keys))
        found.restarts.extend(sorted(times[number] for number in keys if number in fresh))
        found.times.extend(sorted(times))
        if any(after <= before for before, after in pairwise(found.times)):
            found.flaws.add("two frames are shown at the same time")

    def _runs(self, kind: bytes, form: str) -> Iterator[tuple[int, ...]]:
        """Entries of a table that begins with version, flags and a count."""
        table, entry = self._table(kind), struct.Struct(form)
        if not table:
            return
        (count,) = struct.unpack_from(">I", table, 4)
        yield from entry.iter_unpack(table[8 : 8 + count * entry.size])

    def _lasting(self, count: int) -> list[int]:
        """Units from each packet to the next in the order of decoding."""
        return [lasts for run, lasts in self._runs(b"stts", ">Ii") for _ in range(min(run, count))]

    def _shown(self, count: int) -> list[int]:
        """Presentation time of each frame in the order of decoding, in units of the track."""
        decoded = [0, *accumulate(self._lasting(count)[:-1])]
        offsets = [offset for run, offset in self._runs(b"ctts", ">Ii") for _ in range(min(run, count))]
        return [time + offset for time, offset in zip(decoded, offsets or [0] * count, strict=True)]

    def _edit(self) -> tuple[float, int, float]:
        """Seconds that pass before the film, and what of it is shown: from, up to, in its own units."""
        delay, shown = 0.0, list[tuple[int, float]]()
        for length, start in boxes.edits(self._file, self._track):
            if start == boxes.NOTHING:
                delay += length / self._movie_scale
            else:
                shown.append((start, start + length * self._scale / self._movie_scale))
        if not shown:
            return delay, 0, float("inf")
        ((begin, end),) = shown
        return delay, begin, end

    def _keys(self, count: int) -> Sequence[int]:
        """Numbers of the key frames, from 0; all frames if there is no table of them."""
        if not self._table(b"stss"):
            return range(count)
        return [number - 1 for (number,) in self._runs(b"stss", ">I")]

    def _sizes(self, most: int) -> Sequence[int]:
        """Bytes of each packet; together they cannot be more than the file."""
        table = self._table(b"stsz")
        size, count = struct.unpack_from(">II", table, 4)
        if size * count > most:
            raise ValueError
        return [size] * count if size else array("L", struct.unpack_from(f">{count}I", table, 12))

    def _places(self, sizes: Sequence[int]) -> "array[int]":
        """Offset of each packet in the file."""
        wide = [offset for (offset,) in self._runs(b"co64", ">Q")]
        chunks = wide or [offset for (offset,) in self._runs(b"stco", ">I")]
        groups = list(self._runs(b"stsc", ">III"))
        places, packet = array("q"), 0
        for (first, each, _), (following, *_) in pairwise([*groups, (len(chunks) + 1, 0, 0)]):
            for chunk in chunks[first - 1 : following - 1]:
                places.extend(accumulate(sizes[packet : packet + each - 1], initial=chunk))
                packet += each
        if len(places) != len(sizes):
            raise ValueError
        return places


def _look_into(
    content: mmap.mmap, spans: Sequence[tuple[int, int]], stream: _Stream, flaws: set[str]
) -> set[int]:
    """Numbers of the packets where decoding starts afresh. What is wrong inside of any is added to `flaws`.

    A change of format is written into the pictures, where not every player looks for it.
    """
    fresh = set()
    for number, (place, size) in enumerate(spans):
        for kind, begin, end in stream.units(content, place, place + size):
            if kind == _IDR:
                fresh.add(number)
            elif kind == _SEI:  # cameras write positions there, encoders their settings
                flaws.add("messages are left in the pictures")
            elif kind == _SEQUENCE_PARAMETERS and content[begin:end] not in stream.parameters:
                flaws.add("the format of the picture changes on the way")
            elif not kind:
                flaws.add("a picture is cut off")
    return fresh
