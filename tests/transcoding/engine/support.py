"""What the engine's tests share: tools, constants, a folder as a store, an independent judge."""

import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.convert import Converted
from transcoding.engine.errors import SourceMissing

REPOSITORY = Path(__file__).parents[3]
SOURCE_KEY = f"e5fa44f2b31/{'7448d879' * 5}.mov"


def without(what: str) -> NoReturn:
    """Skip where something optional is missing; fail where everything is required."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing, and REQUIRE_ALL=1 says that nothing may be.")
    pytest.skip(f"{what} is missing here; the rest of the tests do without it.")


class Judge:
    """Debian's ffprobe: another build, of another age, than the one that the engine uses."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __call__(self, path: Path, *arguments: str) -> dict[str, Any]:
        shown = arguments or ("-show_streams", "-show_format")
        done = subprocess.run(
            [self._program, "-v", "error", *shown, "-of", "json", path],
            capture_output=True,
            check=True,
            timeout=60,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def video(self, path: Path) -> dict[str, Any]:
        return next(stream for stream in self(path)["streams"] if stream["codec_type"] == "video")

    def frame_times(self, path: Path) -> list[float]:
        packets = self(path, "-select_streams", "v:0", "-show_entries", "packet=pts_time")["packets"]
        return sorted(float(packet["pts_time"]) for packet in packets)


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run the bundled ffmpeg as a tool of the tests; gives its standard output."""
    done = subprocess.run(
        [find_ffmpeg().path, "-nostdin", "-v", "error", "-y", *arguments],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


Clip = Callable[..., Path]


PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=duration=1")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
"""Is copied."""
MPEG4 = ("-c:v", "mpeg4", "-q:v", "4")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0", "-pix_fmt", "yuv420p")
"""Are encoded."""
LONG = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=8", *MPEG4)
"""Takes a second or two to encode, so that something can happen meanwhile."""


@dataclass
class Progress:
    """Remembers every fraction; raises what it is told to once the fraction is reached."""

    fractions: list[float] = field(default_factory=list)
    error: BaseException | None = None
    after: float = 0.0

    def __call__(self, fraction: float) -> None:
        self.fractions.append(fraction)
        if self.error is not None and fraction >= self.after:
            raise self.error


Convert = Callable[..., Converted]


class FolderStore:
    """An object store in a folder, for everything about `transcode()` that is not about S3."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[tuple[str, str, dict[str, str]]] = []

    def put(self, key: str, source: Path) -> None:
        self._path(key).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, self._path(key))

    def read(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def keys(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def size(self, key: str) -> int | None:
        return self._path(key).stat().st_size if self._path(key).exists() else None

    def download(self, key: str, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        if not self._path(key).exists():
            raise SourceMissing(key)
        shutil.copyfile(self._path(key), path)
        if on_bytes:
            on_bytes(path.stat().st_size)

    def upload(
        self,
        path: Path,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self.put(key, path)
        self.written.append((key, content_type, metadata))
        if on_bytes:
            on_bytes(path.stat().st_size)

    def _path(self, key: str) -> Path:
        return self.folder / key


def processes_in(folder: Path) -> list[int]:
    """Ids of the living processes that work in `folder` or below."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:  # it ended while we looked
            continue
    return found


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it becomes true in time. A killed process needs a moment to be gone."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Listener:
    """A server on loopback that counts who connects, for programs that must not."""

    def __init__(self) -> None:
        self.heard = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        try:
            while True:
                self._socket.accept()[0].close()
                self.heard += 1
        except OSError:  # closed
            return


def box(kind: bytes, content: bytes) -> bytes:
    """One box of an ISO media file."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of each box."""
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        yield kind, data[8:size]
        data = data[size:]


def changed(data: bytes, where: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """The boxes with the content of the box at the end of this path changed, all sizes corrected."""
    kind, *rest = where
    inner = (lambda content: changed(content, rest, change)) if rest else change
    return b"".join(box(name, inner(content) if name == kind else content) for name, content in boxes(data))
