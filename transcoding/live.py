"""Watch while it converts: the engine's stream of an original, as the body of an async response."""

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Self

from asgiref.sync import sync_to_async
from django.conf import settings

from transcoding.engine import sandbox
from transcoding.engine.binaries import find_ffmpeg, find_ffprobe
from transcoding.engine.contracts import Limits
from transcoding.engine.errors import BadInput, EngineError, FfmpegMissing
from transcoding.engine.sources import Pieces, S3Source
from transcoding.engine.stream import StreamLimits, stream
from transcoding.errors import PortalError
from transcoding.store import object_store

logger = logging.getLogger(__name__)

LONG_SIDE = 1280
"""Pixels of the preview: it has to be made faster than it is watched."""
SECONDS = 1800
ASK_SECONDS = 2
"""How often a stream asks whether it may still be watched."""


class NotWatchable(PortalError):
    code = "not_watchable"
    message = "This video cannot be shown before it is converted. It appears here as soon as it is."
    status = 422


class TooManyStreams(PortalError):
    code = "too_many_streams"
    message = "Others are watching videos that still convert. Please try again in a minute."
    status = 503


def warm_up() -> None:
    """Find the programs and what the kernel has to shut them in: the first viewer need not wait for it."""
    if settings.LIVE_STREAMS:
        threading.Thread(target=_find_programs, name="warm up", daemon=True).start()


def _find_programs() -> None:
    try:
        find_ffmpeg(), find_ffprobe()
    except FfmpegMissing:
        logger.warning("no ffmpeg: nothing can be watched before it is converted")
    sandbox.layers()


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.LIVE_STREAMS)


async def open_stream(source_key: str, may_go_on: Callable[[], bool] = lambda: True) -> "LiveStream":
    """The preview of an original, its first bytes made. Raises `NotWatchable`, `TooManyStreams`.

    `may_go_on` is asked every few seconds: once it says no, the stream is cut.
    """
    if not _slots().acquire(blocking=False):
        raise TooManyStreams
    live = LiveStream(source_key, may_go_on)
    try:
        await live.begin()
    except BadInput as error:
        live.close()
        raise NotWatchable from error
    except BaseException:
        live.close()
        raise
    return live


class LiveStream:
    """Pieces of an MP4. Has a thread of its own; whoever closes it, or forgets to read on, ends ffmpeg."""

    def __init__(self, source_key: str, may_go_on: Callable[[], bool]) -> None:
        self._key = source_key
        self._may_go_on = may_go_on
        self._asked = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._pieces = self._made()
        self._first: bytes | None = None
        self._closing = threading.Lock()

    def _made(self) -> Pieces:
        limits = StreamLimits(
            seconds=SECONDS,
            source_bytes=settings.UPLOAD_MAX_BYTES,
            conversion=Limits(duration=settings.VIDEO_MAX_SECONDS, long_side=LONG_SIDE),
        )
        yield from stream(S3Source(object_store(), self._key), _folder(), limits)

    async def begin(self) -> None:
        self._first = await self._next()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await self._ask()
        piece, self._first = self._first, None
        if piece is None:
            piece = await self._next()
        if piece is None:
            self.close()
            raise StopAsyncIteration
        return piece

    async def _ask(self) -> None:
        """Raises `NotWatchable` if it may be watched no more: the connection is cut."""
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        if not await sync_to_async(self._may_go_on)():
            self.close()
            raise NotWatchable

    async def _next(self) -> bytes | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, next, self._pieces, None)
        except EngineError as error:
            # The connection is cut, so that nobody takes the piece for the whole.
            logger.warning("live stream ended", extra={"error": type(error).__name__})
            raise

    def close(self) -> None:
        """Ends everything behind it, once the piece that is being made is made. Twice is once."""
        if self._closing.acquire(blocking=False):
            self._thread.submit(self._end)
            self._thread.shutdown(wait=False)

    def _end(self) -> None:
        try:
            self._pieces.close()
        finally:
            _slots().release()


@cache
def _folder() -> Path:
    """This process's own, emptied of what processes left that were killed."""
    settings.WORK_DIR.mkdir(parents=True, exist_ok=True)
    for left in settings.WORK_DIR.glob("live-*"):
        if not Path(f"/proc/{left.name.removeprefix('live-')}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder: Path = settings.WORK_DIR / f"live-{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
