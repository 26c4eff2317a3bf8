"""Decide from the first bytes which demuxer may open a file, so that ffmpeg never guesses.

Guessing is how a text file named .mov becomes a playlist that reads a neighbour's video.
"""

from pathlib import Path

from transcoding.engine.contracts import FailureCode
from transcoding.engine.errors import BadInput

_HEAD_BYTES = 4096
_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"uuid"}
"""What an ISO media or QuickTime file may begin with."""
_BOX_HEADER = 8
"""Bytes of the shortest box. A size of 0 means to the end of the file, 1 that the real size follows."""
_PICTURES = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ", b"jpx ", b"jp2 "}
"""Major brands of still pictures in the same container."""
_EBML = b"\x1a\x45\xdf\xa3"
_PACK_HEADER = b"\x00\x00\x01\xba"
_TS_SYNC = 0x47
_TS_PACKETS = ((0, 188), (4, 192), (0, 204))
"""(offset of the first sync byte, packet size): broadcast, Blu-ray and camcorder, with parity."""
_TS_ENOUGH = 5


def demuxer(path: Path) -> str:
    """The `-f` value for this file: mov, matroska, avi, mpegts or mpeg.

    Raises BadInput: `empty` for zero bytes, `not_a_video` for anything that is none of these.
    """
    if not path.is_file():  # a pipe or a device need never end
        raise BadInput(FailureCode.NOT_A_VIDEO, "This is no regular file.")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise BadInput(FailureCode.EMPTY)
    name = _recognise(head)
    if name is None:
        raise BadInput(FailureCode.NOT_A_VIDEO, "No video container begins like this file.")
    return name


def _recognise(head: bytes) -> str | None:
    if _is_iso_media(head):
        return "mov"
    if head.startswith(_EBML):
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if _is_transport_stream(head):
        return "mpegts"
    if head.startswith(_PACK_HEADER):
        return "mpeg"
    return None


def ends_in_a_packet(path: Path) -> bool:
    """Whether a transport stream breaks off within one of its packets, which all have the same size."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return any(path.stat().st_size % size for first, size in _TS_PACKETS if _has_sync(head[first::size]))


def _is_iso_media(head: bytes) -> bool:
    size, kind, brand = int.from_bytes(head[:4], "big"), head[4:8], head[8:12]
    if kind == b"ftyp" and brand in _PICTURES:
        return False
    return kind in _BOXES and (size >= _BOX_HEADER or size in (0, 1))


def _is_transport_stream(head: bytes) -> bool:
    return any(_has_sync(head[first::size]) for first, size in _TS_PACKETS)


def _has_sync(starts: bytes) -> bool:
    return len(starts) >= _TS_ENOUGH and all(byte == _TS_SYNC for byte in starts[:_TS_ENOUGH])
