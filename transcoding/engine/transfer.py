"""Move bytes, or do other work, in a thread of its own, while the calling thread keeps its heartbeat."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Self, TypeVar

_HEARTBEAT = 0.5
"""Seconds between two calls of whoever waits."""
_PATIENCE = 5.0
"""Seconds that stopped work gets to end."""
_HASH_CHUNK = 1024 * 1024

T = TypeVar("T")
Check = Callable[[], None]
"""Called by work now and then; raises once the work shall end."""
Count = Callable[[int], None]
"""Told the number of bytes moved since the last call."""


class _Stopped(Exception):
    """Raised in the work's own thread to end it."""


class Aside(Generic[T]):
    """Work beside that of the calling thread, begun at once and ended with the block."""

    def __init__(self, work: Callable[[Check], T]) -> None:
        self._work = work
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aside", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join(_PATIENCE)

    def result(self, on_wait: Callable[[], None]) -> T:
        """What the work returns, as soon as it does; what it raises is raised here."""
        while not self._has_ended(_HEARTBEAT):
            on_wait()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _has_ended(self, seconds: float) -> bool:
        """Wait so long at most; say whether it is over."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._values.append(self._work(self._check))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


def move(work: Callable[[Count], None], on_moved: Callable[[int], None]) -> None:
    """Do `work` with a counter for it to call; tell `on_moved` the bytes so far, from this thread.

    A store may count from threads of its own, as boto3 does, and wait in silence when the network
    does, so the work gets a thread and this one watches. What `work` raises is raised here; what
    `on_moved` raises makes the next count fail, and so ends the work.
    """
    so_far = 0

    def counted(check: Check) -> None:
        def count(moved: int) -> None:
            nonlocal so_far
            check()
            so_far += moved

        work(count)

    with Aside(counted) as moving:
        moving.result(lambda: on_moved(so_far))


def sha256(path: Path, count: Count = lambda moved: None) -> str:
    """64 hexadecimal digits, read in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
            count(len(chunk))
    return digest.hexdigest()
