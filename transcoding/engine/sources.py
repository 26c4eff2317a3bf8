"""Where a stream's bytes come from, and in which order a converter that cannot seek must get them.

A phone writes an MP4's index last, because only then it knows it. A converter that reads from a pipe needs
it first. So the index is fetched, its offsets are moved, and it goes before the samples: the same file in
another order, of which no byte is stored.
Source: ISO/IEC 14496-12, sections 4.2 (box header), 8.7.5 (chunk offsets); QuickTime File Format for `cmov`.
"""

import struct
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from transcoding.engine.contracts import FailureCode
from transcoding.engine.errors import BadInput, EngineError
from transcoding.engine.store import S3Store, StoreError

HEAD_BYTES = 64 * 1024
_MOST_INDEX = 64 * 1024**2
"""Bytes; an hour of video has about five million."""
_MOST_BOXES = 64
_HEADER = 16
_BEFORE_SAMPLES = {b"ftyp", b"wide", b"free", b"skip", b"pnot", b"uuid", b"styp", b"sidx"}
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_TRIES = 4


class SourceFailed(EngineError):
    """The source ended early, changed, or could no longer be reached."""


class NotSeekable(EngineError):
    """The source can be read from its beginning only, and this one would have to be read from its end."""


Pieces = Generator[bytes, None, None]


class ByteSource(Protocol):
    """A file somewhere else."""

    size: int | None
    """None: not known, and it can be read from its beginning only."""

    def read(self, start: int, end: int | None = None) -> Pieces:
        """Bytes from `start` up to `end`, exclusive. Raises `SourceFailed`, `NotSeekable`."""


class S3Source:
    """One version of one object. Raises `BadInput` if there is none."""

    def __init__(self, store: S3Store, key: str) -> None:
        found = store.describe(key)
        if found is None:
            raise BadInput(FailureCode.SOURCE_MISSING)
        self._store, self._key, self._etag = store, key, found.etag
        self.size: int | None = found.size

    def read(self, start: int, end: int | None = None) -> Pieces:
        """Goes on where a broken connection left it."""
        stop = min(end, self.size or 0) if end is not None else self.size or 0
        failures = 0
        while start < stop:
            try:
                for chunk in self._store.read_range(self._key, self._etag, start, stop):
                    start += len(chunk)
                    yield chunk
            except StoreError as error:
                failures += 1
                if failures == _TRIES:
                    raise SourceFailed("The store failed.") from error


def in_reading_order(source: ByteSource) -> Iterator[bytes]:
    """All bytes of the source, an MP4's index before its samples.

    Raises `BadInput`, `NotSeekable`, `SourceFailed`.
    """
    if source.size is None:
        yield from _as_it_comes(source.read(0))
        return
    with closing(source.read(0, min(HEAD_BYTES, source.size))) as reading:
        head = b"".join(reading)
    if not head:
        raise BadInput(FailureCode.EMPTY)
    samples = _samples_before_index(head)
    if samples is None:
        yield head
        yield from source.read(len(head))
        return
    begin, end = samples
    index_at, index = _find_index(source, end)
    yield from source.read(0, begin)
    yield moved(index, begin, index_at)
    yield from source.read(begin, index_at)
    yield from source.read(index_at + len(index))


def _as_it_comes(reading: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for chunk in reading:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise BadInput(FailureCode.EMPTY)
    if _samples_before_index(head) is not None:
        raise NotSeekable("The index of this file is at its end, and its server gives no part of a file.")
    yield head
    yield from reading


@dataclass(frozen=True, kw_only=True)
class _Box:
    kind: bytes
    header: int
    """Bytes."""
    size: int
    """Header included; 0: to the end of the file."""


def _box(data: bytes, at: int) -> _Box | None:
    """The box whose header begins here; None where no whole header is."""
    if at + 8 > len(data):
        return None
    size, kind = struct.unpack_from(">I4s", data, at)
    if size == 1:
        if at + _HEADER > len(data):
            return None
        return _Box(kind=kind, header=_HEADER, size=struct.unpack_from(">Q", data, at + 8)[0])
    return _Box(kind=kind, header=8, size=size)


def _samples_before_index(head: bytes) -> tuple[int, int] | None:
    """(first byte, byte after the last) of the samples, if this is ISO media that has them first."""
    at = 0
    while (box := _box(head, at)) is not None:
        if box.kind == b"mdat":
            return (at, at + box.size) if box.size >= box.header else None
        if box.kind not in _BEFORE_SAMPLES or box.size < box.header:
            return None
        at += box.size
    return None


def _find_index(source: ByteSource, at: int) -> tuple[int, bytes]:
    """(offset, content) of the `moov` box. Raises `BadInput` where none can be found."""
    for _ in range(_MOST_BOXES):
        with closing(_Reading(source.read(at))) as reading:
            box = _box(reading.take(_HEADER), 0)
            if box is None or box.size < box.header:
                break
            if box.kind == b"moov":
                if box.size > _MOST_INDEX:
                    raise BadInput(FailureCode.TOO_LARGE, "The index is too large.")
                return at, reading.take(box.size)
        at += box.size
    raise BadInput(FailureCode.DAMAGED, "There is no index.")


class _Reading:
    """Takes a number of bytes from pieces of any size, counted from the first."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._have = bytearray()

    def take(self, count: int) -> bytes:
        """The first `count` bytes, or as many as there are."""
        while len(self._have) < count and (piece := next(self._pieces, None)) is not None:
            self._have += piece
        return bytes(self._have[:count])

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close:
            close()


def moved(index: bytes, samples_at: int, index_at: int) -> bytes:
    """The index with the offsets that hold once it stands before the samples."""
    patched = bytearray(index)
    shift = len(index)
    tables = list(_offset_tables(index, 0, len(index)))
    if not tables:
        raise BadInput(FailureCode.DAMAGED, "The index has no table of offsets, or a compressed one.")
    for at, count, width in tables:
        form = f">{count}{'IQ'[width == 8]}"  # noqa: PLR2004 - bytes of a co64 entry
        offsets = struct.unpack_from(form, index, at)
        shifted = [offset + shift if samples_at <= offset < index_at else offset for offset in offsets]
        try:
            struct.pack_into(form, patched, at, *shifted)
        except struct.error as error:
            raise BadInput(FailureCode.TOO_LARGE, "Offsets do not fit into the index.") from error
    return bytes(patched)


def _offset_tables(index: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(offset of the first entry, entries, bytes of each) of every table of chunk offsets."""
    at = start
    while at + 8 <= end and (box := _box(index, at)) is not None:
        if box.size < box.header or at + box.size > end:
            raise BadInput(FailureCode.DAMAGED, "The index is broken.")
        inside = at + box.header
        if box.kind in _CONTAINERS:
            yield from _offset_tables(index, inside, at + box.size)
        elif box.kind in (b"stco", b"co64"):
            width = 4 if box.kind == b"stco" else 8
            count = int.from_bytes(index[inside + 4 : inside + 8], "big")
            if inside + 8 + count * width > at + box.size:
                raise BadInput(FailureCode.DAMAGED, "A table of offsets is broken.")
            yield inside + 8, count, width
        at += box.size
