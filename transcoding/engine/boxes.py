"""Read the box structure of ISO media (MP4, QuickTime, 3GP) without a demuxer.

Only headers are read, by seeking, and never more of them than a sane file has.
Source: ISO/IEC 14496-12, section 4.2 (box header), 8.3.2 (track header), 8.5.2 (sample description), 8.6.1
(times of samples) and 8.6.6 (edit list).
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 100_000
_ENCRYPTED = {b"encv", b"enca", b"drmi", b"drms"}
"""Sample entries of Common Encryption and of Apple's FairPlay."""
_PATH_TO_ENTRIES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


_TOP_LEVEL = {b"ftyp", b"moov", b"mdat", b"free"}
_CLEAN = {
    *(b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"vmhd", b"smhd"),
    *(b"dinf", b"dref", b"stbl", b"stsd", b"stts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"ctts"),
    *(b"sgpd", b"sbgp", b"cslg", b"stz2", b"sdtp"),
}
"""Boxes of an index that say nothing but how to play. All others are told of: `udta`, `meta`, `uuid`, …"""
_HOLDS_BOXES = {b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl"}
_DATED = {b"mvhd", b"tkhd", b"mdhd"}
_HANDLER_NAME = 24
"""Offset in a handler box of its name, after version, type and reserved fields."""
_AVC_ENTRY = 78
"""Bytes of a visual sample entry before the boxes in it (ISO/IEC 14496-12, 12.1.3)."""
_COMPRESSOR = slice(42, 74)
"""Where in it the name of the encoder is: some cameras write theirs there."""
_MOST_EDITS = 10_000
NOTHING = -1
"""Media time of an edit that shows nothing for a while."""
_MOST_RUNS = 1_000_000
"""Entries of a table of times: one for each frame of four hours at most."""
_REORDERED = 32
"""Frames, twice as many as H.264 and HEVC may hold back: the last one shown is among so many at the end."""


@dataclass(frozen=True, kw_only=True)
class Box:
    kind: bytes
    start: int
    """Offset of the content, after the header."""
    end: int


def whole_of(path: Path) -> Box:
    """The file as the box around its boxes."""
    return Box(kind=b"", start=0, end=path.stat().st_size)


@dataclass(frozen=True, kw_only=True)
class Track:
    """What a track's headers say that a demuxer does not repeat."""

    edits: int
    """Pieces of the media that are shown one after the other; 1 for all but films that were cut."""
    descriptions: int
    """Sample descriptions; more than one where size or codec change on the way."""
    hides_end: bool = False
    """The one piece that is shown ends before the last frame begins: the end was cut away."""


def kinds(path: Path) -> list[bytes]:
    """The top-level boxes in their order; the last one may reach past the end of the file."""
    with path.open("rb") as file:
        return [box.kind for box in _children(file, 0, path.stat().st_size)]


def holds_media(path: Path) -> bool:
    """Whether there is at least the beginning of an index or of samples."""
    with path.open("rb") as file:
        boxes = _children(file, 0, path.stat().st_size)
        return any(box.kind in (b"moov", b"mdat", b"moof") and box.end > box.start for box in boxes)


def is_fragmented(path: Path) -> bool:
    """Whether samples are listed beside the index too, which so knows neither their number nor their time."""
    return b"moof" in kinds(path)


def moov_is_first(path: Path) -> bool:
    """Whether a player can start before it has the whole file."""
    order = [kind for kind in kinds(path) if kind in (b"moov", b"mdat")]
    return order[:1] == [b"moov"]


def is_encrypted(path: Path) -> bool:
    """Whether any track says that its samples are encrypted."""
    with path.open("rb") as file:
        whole = whole_of(path)
        return any(entry.kind in _ENCRYPTED for entry in _sample_entries(file, whole, _PATH_TO_ENTRIES))


def tracks(path: Path) -> dict[int, Track]:
    """Each track by its id."""
    found = {}
    with path.open("rb") as file:
        whole = whole_of(path)
        for track in descend(file, whole, (b"moov", b"trak")):
            number = _track_id(file, track)
            if number is not None:
                found[number] = _described(file, track, timescale(file, whole, (b"moov", b"mvhd")))
    return found


def _described(file: BinaryIO, track: Box, movie_scale: int) -> Track:
    shown = [edit for edit in edits(file, track) if edit[1] != NOTHING]
    entries = list(_sample_entries(file, track, _PATH_TO_ENTRIES[2:]))
    hides_end = len(shown) == 1 and _ends_before(file, track, shown[0], movie_scale)
    return Track(edits=len(shown), descriptions=len(entries), hides_end=hides_end)


def traces(path: Path) -> list[str]:
    """What in an MP4 says, or could say, more than how to play it: boxes, names and dates."""
    found = []
    with path.open("rb") as file:
        for box in _children(file, 0, path.stat().st_size):
            if box.kind not in _TOP_LEVEL:
                found.append(_named(box))
            if box.kind == b"moov":
                found += _traces_in(file, box)
        whole = whole_of(path)
        for entry in _sample_entries(file, whole, _PATH_TO_ENTRIES):
            if entry.kind == b"avc1" and any(_content(file, entry, _COMPRESSOR.stop)[_COMPRESSOR]):
                found.append("the name of an encoder")
    return found


def _traces_in(file: BinaryIO, parent: Box) -> Iterator[str]:
    for box in _children(file, parent.start, parent.end):
        if box.kind not in _CLEAN and not _is_empty_tags(file, box):
            yield _named(box)
        if box.kind in _HOLDS_BOXES:
            yield from _traces_in(file, box)
        if box.kind in _DATED and _is_dated(_content(file, box, 20)):
            yield f"a date in {_named(box)}"
        if box.kind == b"hdlr" and _content(file, box, 1024)[_HANDLER_NAME:].strip(b"\0"):
            yield "the name of a handler"


def _is_empty_tags(file: BinaryIO, box: Box) -> bool:
    """What ffmpeg writes when it has no tags to write: a list of none."""
    if box.kind != b"udta":
        return False
    inside = list(_children(file, box.start, box.end))
    if [one.kind for one in inside] != [b"meta"]:
        return False
    tags = list(_children(file, inside[0].start + 4, inside[0].end))  # after version and flags
    return [one.kind for one in tags] == [b"hdlr", b"ilst"] and tags[1].start == tags[1].end


def _is_dated(header: bytes) -> bool:
    """Whether creation or modification time is set, in the short or the long form of the header."""
    return any(header[4:20] if header[:1] == b"\x01" else header[4:12])


def _named(box: Box) -> str:
    return box.kind.decode("ascii", "replace")


def nal_length_size(path: Path) -> int:
    """Bytes before each NAL unit that tell its length, in the first H.264 track; 4 if there is none.

    Source: ISO/IEC 14496-15, 5.3.3.1 (lengthSizeMinusOne).
    """
    configuration = _avc_configuration(path)
    return (configuration[4] & 3) + 1 if len(configuration) > 4 else 4  # noqa: PLR2004 - the byte is the fifth


def sequence_parameters(path: Path) -> list[bytes]:
    """The sequence parameter sets (size, profile, …) in the header of the first H.264 track.

    Source: ISO/IEC 14496-15, 5.3.3.1 (sequenceParameterSetNALUnit).
    """
    configuration, found = _avc_configuration(path), []
    at = 6
    for _ in range(configuration[5] & 0x1F if len(configuration) > at else 0):
        length = int.from_bytes(configuration[at : at + 2], "big")
        found.append(configuration[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _avc_configuration(path: Path) -> bytes:
    """Content of the first `avcC`; empty if there is none."""
    with path.open("rb") as file:
        whole = whole_of(path)
        for entry in _sample_entries(file, whole, _PATH_TO_ENTRIES):
            for box in _children(file, entry.start + _AVC_ENTRY, entry.end):
                if box.kind == b"avcC":
                    return _content(file, box, 64 * 1024)
    return b""


def _track_id(file: BinaryIO, track: Box) -> int | None:
    for header in descend(file, track, (b"tkhd",)):
        content = _content(file, header, 24)
        at = 20 if content[:1] == b"\x01" else 12  # after times of eight or of four bytes
        return int.from_bytes(content[at : at + 4], "big")
    return None


def edits(file: BinaryIO, track: Box) -> list[tuple[int, int]]:
    """(duration in the movie's time scale, begin in the track's) of each piece, NOTHING of an empty one."""
    found = []
    for edit_list in descend(file, track, (b"edts", b"elst")):
        entry = struct.Struct(">qqi" if _content(file, edit_list, 1) == b"\x01" else ">iii")
        content = _content(file, edit_list, 8 + _MOST_EDITS * entry.size)[8:]
        whole = content[: len(content) // entry.size * entry.size]
        found += [(length, begin) for length, begin, _ in entry.iter_unpack(whole)]
    return found


def _ends_before(file: BinaryIO, track: Box, edit: tuple[int, int], movie_scale: int) -> bool:
    """Whether the edit is over before the last frame of the track begins. An edit of 0 shows everything.

    Some phones take the time of the last frame for the length of the film: that is no cut. Nor is a length
    that was rounded down to the movie's clock.
    """
    length, begin = edit
    last = _last_begin(file, track)
    track_scale = timescale(file, track, (b"mdia", b"mdhd"))
    if last is None or length <= 0 or not movie_scale or not track_scale:
        return False
    return last * movie_scale > begin * movie_scale + (length + 1) * track_scale


def _last_begin(file: BinaryIO, track: Box) -> int | None:
    """When the last frame is shown, in the track's time scale; None if its index lists none."""
    steps = _runs(file, track, b"stts")
    delays = _last_of(_runs(file, track, b"ctts"))
    decoded = sum(map(mul, steps[::2], steps[1::2]))
    found = []
    for place, step in enumerate(_last_of(steps)):
        decoded -= step
        delay = delays[place] if place < len(delays) else 0
        found.append(decoded + (delay - 2**32 if delay >= 2**31 else delay))  # signed, whatever it says
    return max(found, default=None)


def _runs(file: BinaryIO, track: Box, kind: bytes) -> "array[int]":
    """A table of times: count and value of each run in turn."""
    table = array("I")
    for box in descend(file, track, (b"mdia", b"minf", b"stbl", kind)):
        content = _content(file, box, 8 + 8 * _MOST_RUNS)[8:]
        table.frombytes(content[: len(content) // 8 * 8])
    if sys.byteorder == "little":
        table.byteswap()
    return table


def _last_of(runs: "array[int]") -> list[int]:
    """The values of the last samples, from the last one back."""
    values: list[int] = []
    for at in range(len(runs) - 2, -1, -2):
        values += [runs[at + 1]] * min(runs[at], _REORDERED - len(values))
        if len(values) == _REORDERED:
            break
    return values


def timescale(file: BinaryIO, parent: Box, path: tuple[bytes, ...]) -> int:
    """Units a second, by the header at the end of this path; 0 if it is missing."""
    for header in descend(file, parent, path):
        content = _content(file, header, 24)
        at = 20 if content[:1] == b"\x01" else 12  # after times of eight or of four bytes
        return int.from_bytes(content[at : at + 4], "big")
    return 0


def content_of(file: BinaryIO, parent: Box, path: tuple[bytes, ...], most: int) -> bytes:
    """Content of the first box at the end of this path, up to so many bytes; empty if there is none."""
    return next((_content(file, box, most) for box in descend(file, parent, path)), b"")


def _content(file: BinaryIO, box: Box, most: int) -> bytes:
    file.seek(box.start)
    return file.read(min(most, box.end - box.start))


def descend(file: BinaryIO, parent: Box, path: tuple[bytes, ...]) -> Iterator[Box]:
    """The boxes at the end of this path, wherever it branches."""
    for box in _children(file, parent.start, parent.end):
        if box.kind == path[0]:
            yield from descend(file, box, path[1:]) if len(path) > 1 else (box,)


def _sample_entries(file: BinaryIO, parent: Box, path: tuple[bytes, ...]) -> Iterator[Box]:
    for table in descend(file, parent, path):
        yield from _children(file, table.start + 8, table.end)  # after version, flags and entry count


def _children(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    for _ in range(_MOST_BOXES):
        header = _header(file, start, end)
        if header is None:
            return
        kind, length, size = header
        yield Box(kind=kind, start=start + length, end=min(start + size, end))
        start += size


def _header(file: BinaryIO, start: int, end: int) -> tuple[bytes, int, int] | None:
    """(kind, header length, box size), or None where no whole header is left."""
    if start + 8 > end:
        return None
    file.seek(start)
    header = file.read(16)
    size, kind = int.from_bytes(header[:4], "big"), header[4:8]
    if size == 1:  # the size is in the next eight bytes
        return (kind, 16, large) if (large := int.from_bytes(header[8:16], "big")) >= 16 else None  # noqa: PLR2004
    if size == 0:  # to the end of the file
        return kind, 8, end - start
    return (kind, 8, size) if size >= 8 else None  # noqa: PLR2004 - nothing is shorter than its header
