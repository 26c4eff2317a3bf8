"""Moving bytes with a heartbeat in the calling thread."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from transcoding.engine.transfer import move, sha256


def test_it_tells_the_bytes_so_far_from_the_calling_thread():
    told: list[tuple[int, threading.Thread]] = []

    heard = threading.Event()

    def work(count: Callable[[int], None]) -> None:
        count(5)
        assert heard.wait(60)
        count(7)

    def hear(moved: int) -> None:
        told.append((moved, threading.current_thread()))
        heard.set()

    move(work, hear)
    assert told[0] == (5, threading.main_thread())


def test_what_the_work_raises_reaches_the_caller():
    def work(count: Callable[[int], None]) -> None:
        raise ConnectionError("the store is away")

    with pytest.raises(ConnectionError, match="the store is away"):
        move(work, lambda moved: None)


def test_what_the_caller_raises_ends_the_work():
    counted: list[int] = []

    def work(count: Callable[[int], None]) -> None:
        while True:
            count(1)
            counted.append(1)
            time.sleep(0.01)

    def lose(moved: int) -> None:
        raise RuntimeError("lease lost")

    with pytest.raises(RuntimeError, match="lease lost"):
        move(work, lose)
    before = len(counted)
    time.sleep(0.1)
    assert len(counted) == before


def test_the_checksum_is_that_of_the_whole_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
