"""Move bytes to or from the store, or through a hash, while the calling thread keeps its heartbeat."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

_HEARTBEAT = 0.5
"""Seconds between two calls of `on_moved`."""
_HASH_CHUNK = 1024 * 1024

Count = Callable[[int], None]
"""Told the number of bytes moved since the last call."""


def move(work: Callable[[Count], None], on_moved: Callable[[int], None]) -> None:
    """Do `work` with a counter for it to call; tell `on_moved` the bytes so far, from this thread.

    A store may count from threads of its own, as boto3 does, and wait in silence when the network
    does, so the work gets a thread and this one watches. What `work` raises is raised here; what
    `on_moved` raises makes the next count fail, and so ends the work.
    """
    moving = _Transfer(work)
    try:
        while not moving.has_ended(_HEARTBEAT):
            on_moved(moving.moved)
    finally:
        moving.stop()
    moving.raise_error()


def sha256(path: Path, count: Count = lambda moved: None) -> str:
    """64 hexadecimal digits, read in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
            count(len(chunk))
    return digest.hexdigest()


class Hashing:
    """A file's SHA-256, made in a thread of its own while something else is going on."""

    def __init__(self, path: Path) -> None:
        self._digest = ""
        self._work = _Transfer(lambda count: self._hash(path, count))

    def _hash(self, path: Path, count: Count) -> None:
        self._digest = sha256(path, count)

    def digest(self, on_wait: Callable[[], None]) -> str:
        """64 hexadecimal digits, as soon as they are there."""
        while not self._work.has_ended(_HEARTBEAT):
            on_wait()
        self._work.raise_error()
        return self._digest

    def stop(self) -> None:
        self._work.stop()


class _Stopped(Exception):
    """Raised in the work's own thread to end it."""


class _Transfer:
    def __init__(self, work: Callable[[Count], None]) -> None:
        self.moved = 0
        self._work = work
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transfer", daemon=True)
        self._thread.start()

    def has_ended(self, seconds: float) -> bool:
        """Wait so long at most; say whether it is over."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work(self._count)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def _count(self, moved: int) -> None:
        if self._stopping.is_set():
            raise _Stopped
        self.moved += moved
