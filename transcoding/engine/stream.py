"""Show a video while it comes: any source in, one progressive, fragmented MP4 out, first bytes at once.

ffmpeg opens no connection and no file of ours: it reads from a named pipe in its own folder, which we
fill, in the same sandbox as every conversion. Nothing but whole fragments goes out, so that what a client
has can be played wherever the stream ends.
"""

import os
import queue
import select
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from transcoding.engine import command
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput, ConverterKilled, EngineError
from transcoding.engine.plan import Plan, plan
from transcoding.engine.probe import probe
from transcoding.engine.run import Budget, Run, run
from transcoding.engine.sources import ByteSource, Pieces, SourceFailed, in_reading_order

_PREFIX = 2 * 1024**2
"""Bytes that the probe sees, beyond an index that comes first."""
_MOST_PREFIX = 72 * 1024**2
_SOUND_PREFIX = 64 * 1024
"""Bytes that it sees of sound that comes by itself: more would take long to come."""
_PIPES = ("source", "sound")
_HEADS = ("head", "sound head")
_PIECES = 32
"""Of at most 64 KiB each, that may wait for the client before ffmpeg has to."""
_MOST_BOX = 64 * 1024**2
_TICK = 0.25
_TOO_LONG = "The stream has taken all the time that it may take."


class StreamEnded(EngineError):
    """What went out is not the whole video. All of it can be played, as far as it goes."""


class BudgetReached(StreamEnded):
    """Time or bytes are used up."""


class ConversionBroke(StreamEnded):
    """ffmpeg ended before the video did."""


class SourceBroke(StreamEnded):
    """The source could not be read to its end."""


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """What one stream may cost."""

    seconds: float = 3600.0
    """Wall clock."""
    source_bytes: int = 5 * 1024**3
    output_bytes: int = 5 * 1024**3
    conversion: Limits = field(default_factory=lambda: Limits(long_side=1280))


def stream(
    source: ByteSource, workdir: Path, limits: StreamLimits, sound: ByteSource | None = None
) -> Pieces:
    """The video as whole fragments of an MP4: first its header, then a fifth of a second at a time.

    `sound`: where it is, if not in `source`. Both share all limits.

    Before the first bytes, raises `BadInput`, `BudgetReached` and what the source raises; later, the kinds
    of `StreamEnded`. Closing it kills ffmpeg and empties the folder; so does whatever ends it.
    """
    folder = Path(tempfile.mkdtemp(prefix="stream-", dir=workdir))
    deadline = time.monotonic() + limits.seconds
    sources = (source,) if sound is None else (source, sound)
    readings = [_until(deadline, in_reading_order(one)) for one in sources]
    try:
        heads = [
            _Head(reading, folder / name, enough)
            for reading, name, enough in zip(readings, _HEADS, (_PREFIX, _SOUND_PREFIX), strict=False)
        ]
        arguments = _arguments([head.path for head in heads], limits.conversion)
        fed = _Fed(limits.source_bytes)
        pipes = [folder / name for name in _PIPES[: len(heads)]]
        for pipe in pipes:
            os.mkfifo(pipe, 0o600)
        feeders = [_Feeder(pipe, head.then_the_rest(), fed) for pipe, head in zip(pipes, heads, strict=True)]
        converter = _Converter(folder, arguments, _budget(limits))
        try:
            yield from _within(limits.output_bytes, deadline, _Fragments(), feeders, converter)
        finally:
            for feeder in feeders:
                feeder.stop()
            converter.stop()
    finally:
        for reading in readings:
            _close(reading)
        shutil.rmtree(folder, ignore_errors=True)


def _arguments(heads: list[Path], limits: Limits) -> list[str]:
    film, *sounds = heads
    chosen = _plan(film, limits)
    if not sounds:
        return command.streamed(chosen, limits, _PIPES[0])
    heard = _sound_plan(film, sounds[0], limits)
    with_sound = replace(chosen, audio=heard.audio)
    return command.streamed(with_sound, limits, _PIPES[0], (_PIPES[1], heard.container))


def _plan(head: Path, limits: Limits) -> Plan:
    """A closer look is only taken where it could forbid a copy: somebody waits for the first picture."""
    chosen = plan(probe(head, limits, look_inside=False), limits)
    return plan(probe(head, limits), limits) if chosen.copies else chosen


def _sound_plan(film: Path, sound: Path, limits: Limits) -> Plan:
    """As if picture and sound were in the sound's file. Raises `BadInput` if there is no sound to be had."""
    pictures = probe(film, limits, look_inside=False).video
    heard = plan(replace(probe(sound, limits, look_inside=False), video=pictures), limits)
    if heard.audio.index is None:
        raise BadInput(FailureCode.UNSUPPORTED_CODEC, "The sound's own rendition holds none.")
    return heard


def _until(deadline: float, pieces: Iterator[bytes]) -> Pieces:
    for piece in pieces:
        if time.monotonic() > deadline:
            raise BudgetReached(_TOO_LONG)
        yield piece


def _close(reading: Pieces) -> None:
    with suppress(ValueError):  # its thread is still at it, and ends by itself
        reading.close()


def _budget(limits: StreamLimits) -> Budget:
    return Budget(
        seconds=limits.seconds,
        stall_seconds=limits.conversion.stall_seconds,
        memory_bytes=limits.conversion.memory_bytes,
        file_bytes=0,
    )


class _Head:
    """The beginning of the source in a file, for the probe; it is not fetched twice."""

    def __init__(self, reading: Iterator[bytes], path: Path, enough: int) -> None:
        """`enough`: bytes, beyond an index that comes first."""
        self.path = path
        self._reading = reading
        prefix, written = enough, 0
        with path.open("wb") as file:
            for chunk in reading:
                file.write(chunk)
                written += len(chunk)
                if len(chunk) > prefix:  # an index in one piece: the samples shall be seen too
                    enough = written + prefix
                if written >= min(enough, _MOST_PREFIX):
                    break

    def then_the_rest(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(256 * 1024):
                yield chunk
        yield from self._reading


class _Fed:
    """What all feeders together have given, and may give."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise SourceFailed("The source is larger than a stream may be.")


class _Feeder:
    """Fills the pipe from a thread of its own, as fast as ffmpeg reads."""

    def __init__(self, pipe: Path, pieces: Iterator[bytes], fed: _Fed) -> None:
        self.error: Exception | None = None
        self._pipe, self._pieces, self._fed = pipe, pieces, fed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream feeder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        end: int | None = None
        try:
            end = self._opened()
            if end is not None:
                self._fill(end)
        except BrokenPipeError:
            pass  # ffmpeg has all that it wants
        except Exception as error:  # noqa: BLE001 - told by the thread that reads the output
            self.error = error
        finally:
            if end is not None:
                os.close(end)

    def _opened(self) -> int | None:
        """The pipe's end to write to, once ffmpeg has opened its own."""
        while not self._stopping.is_set():
            with suppress(OSError):
                return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.005)
        return None

    def _fill(self, end: int) -> None:
        for piece in self._pieces:
            self._fed.add(len(piece))
            self._write(end, memoryview(piece))
            if self._stopping.is_set():
                return

    def _write(self, end: int, piece: memoryview) -> None:
        waiting = select.poll()
        waiting.register(end, select.POLLOUT)
        while piece and not self._stopping.is_set():
            if waiting.poll(_TICK * 1000):
                with suppress(BlockingIOError):
                    piece = piece[os.write(end, piece) :]


class _Stopped(Exception):
    """Raised in the converter's own thread to end it."""


class _Converter:
    """ffmpeg, and a thread that reads what it writes; it waits when nobody takes the pieces."""

    def __init__(self, folder: Path, arguments: list[str], budget: Budget) -> None:
        self._folder, self._arguments, self._budget = folder, arguments, budget
        self._pieces: queue.Queue[bytes] = queue.Queue(_PIECES)
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._run: Run | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="stream converter", daemon=True)
        self._thread.start()

    def piece(self, seconds: float) -> bytes | None:
        """The next piece; empty where none came in time; None after the last."""
        try:
            return self._pieces.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None if self._ended.is_set() and self._pieces.empty() else b""

    def raise_if_broken(self) -> None:
        if self._error is not None:
            raise self._error
        if self._run is not None and not self._run.succeeded:
            if self._run.killed_from_outside:
                raise ConverterKilled("ffmpeg was killed by something outside the engine.")
            raise ConversionBroke(self._run.stopped or self._run.log)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _work(self) -> None:
        try:
            self._run = run(
                find_ffmpeg(),
                self._arguments,
                folder=self._folder,
                budget=self._budget,
                on_output=self._put,
                on_tick=self._tick,
            )
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads
            self._error = error
        finally:
            self._ended.set()

    def _put(self, piece: bytes) -> bool:
        while True:
            self._tick()
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=_TICK)
                return True

    def _tick(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


class _Fragments:
    """Puts together what belongs together: the header, then each `moof` with its `mdat`.

    What ffmpeg writes at the very end (`mfra`) is held back: it would make a piece look like the whole.
    """

    def __init__(self) -> None:
        self._have = bytearray()
        self._whole = 0
        """Bytes at the beginning that are whole boxes, of a group that is not."""

    def add(self, piece: bytes) -> bytes:
        """The groups that are whole now."""
        self._have += piece
        given = 0
        while (size := self._next_box()) is not None:
            kind = bytes(self._have[self._whole + 4 : self._whole + 8])
            self._whole += size
            if kind in (b"moov", b"mdat"):
                given = self._whole
        groups = bytes(self._have[:given])
        del self._have[:given]
        self._whole -= given
        return groups

    def rest(self) -> bytes:
        """The end, for whoever knows that it is one."""
        return bytes(self._have[: self._whole])

    def _next_box(self) -> int | None:
        """Size of the box after those that are whole, once all of it is here."""
        here = len(self._have) - self._whole
        if here < 8:  # noqa: PLR2004 - a header
            return None
        (size,) = struct.unpack_from(">I", self._have, self._whole)
        if size > _MOST_BOX or size < 8:  # noqa: PLR2004
            raise ConversionBroke("A fragment of an impossible size.")
        return size if size <= here else None


def _within(
    most: int, deadline: float, fragments: _Fragments, feeders: list[_Feeder], converter: _Converter
) -> Iterator[bytes]:
    sent = 0
    while (piece := converter.piece(_TICK)) is not None:
        groups = fragments.add(piece)
        if sent and sent + len(groups) > most:
            raise BudgetReached("The stream has all the bytes that it may have.")
        if time.monotonic() > deadline:
            raise BudgetReached(_TOO_LONG)
        if groups:
            sent += len(groups)
            yield groups
    _raise_if_incomplete(feeders, converter, is_begun=sent > 0)
    if rest := fragments.rest():
        yield rest


def _raise_if_incomplete(feeders: list[_Feeder], converter: _Converter, *, is_begun: bool) -> None:
    """Before the first bytes, what is wrong is the video's fault or the source's; later, the stream ends."""
    for error in (feeder.error for feeder in feeders if feeder.error is not None):
        if isinstance(error, StreamEnded) or (isinstance(error, EngineError) and not is_begun):
            raise error
        raise SourceBroke("The source could not be read to its end.") from error
    try:
        converter.raise_if_broken()
    except ConversionBroke as error:
        if is_begun:
            raise
        raise BadInput(FailureCode.DAMAGED, str(error)) from error
    if not is_begun:
        raise BadInput(FailureCode.DAMAGED, "There is nothing to show.")
