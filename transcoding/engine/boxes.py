"""Read the box structure of ISO media (MP4, QuickTime, 3GP) without a demuxer.

Only headers are read, by seeking, and never more of them than a sane file has.
Source: ISO/IEC 14496-12, section 4.2 (box header) and 8.5.2 (sample description).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 100_000
_ENCRYPTED = {b"encv", b"enca", b"drmi", b"drms"}
"""Sample entries of Common Encryption and of Apple's FairPlay."""
_PATH_TO_ENTRIES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


@dataclass(frozen=True, kw_only=True)
class Box:
    kind: bytes
    start: int
    """Offset of the content, after the header."""
    end: int


def kinds(path: Path) -> list[bytes]:
    """The top-level boxes in their order; the last one may reach past the end of the file."""
    with path.open("rb") as file:
        return [box.kind for box in _children(file, 0, path.stat().st_size)]


def holds_media(path: Path) -> bool:
    """Whether there is at least the beginning of an index or of samples."""
    with path.open("rb") as file:
        boxes = _children(file, 0, path.stat().st_size)
        return any(box.kind in (b"moov", b"mdat", b"moof") and box.end > box.start for box in boxes)


def moov_is_first(path: Path) -> bool:
    """Whether a player can start before it has the whole file."""
    order = [kind for kind in kinds(path) if kind in (b"moov", b"mdat")]
    return order[:1] == [b"moov"]


def is_encrypted(path: Path) -> bool:
    """Whether any track says that its samples are encrypted."""
    with path.open("rb") as file:
        whole = Box(kind=b"", start=0, end=path.stat().st_size)
        return any(entry.kind in _ENCRYPTED for entry in _sample_entries(file, whole, _PATH_TO_ENTRIES))


def _sample_entries(file: BinaryIO, parent: Box, path: tuple[bytes, ...]) -> Iterator[Box]:
    for box in _children(file, parent.start, parent.end):
        if box.kind != path[0]:
            continue
        if len(path) > 1:
            yield from _sample_entries(file, box, path[1:])
        else:
            yield from _children(file, box.start + 8, box.end)  # after version, flags and entry count


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
