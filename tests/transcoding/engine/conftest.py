"""Real ffmpeg on generated clips."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transcoding.engine.contracts import Limits
from transcoding.engine.convert import Converted, convert

from .support import (
    H264,
    PICTURE,
    SOUND,
    Clip,
    Convert,
    FolderStore,
    Judge,
    Listener,
    Progress,
    ffmpeg,
    without,
)


@pytest.fixture(scope="session")
def judge() -> Judge:
    if not Path("/usr/bin/ffprobe").exists():
        without("/usr/bin/ffprobe, the independent judge,")
    return Judge("/usr/bin/ffprobe")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """`clip("name.mov", *ffmpeg arguments)`: the file, made once for all tests."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str, *arguments: str | Path) -> Path:
        path = folder / name
        if not path.exists():
            ffmpeg(*arguments, path)
        return path

    return make


@pytest.fixture(scope="session")
def phone_clip(clip: Clip) -> Path:
    """One second of H.264 and AAC with a place, a device and a name in its metadata."""
    secrets = {
        "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050/",
        "com.apple.quicktime.make": "Secretmaker",
        "title": "Mrs Example",
        "comment": "left knee",
    }
    tags = [part for name, value in secrets.items() for part in ("-metadata", f"{name}={value}")]
    return clip("phone.mov", *PICTURE, *SOUND, *H264, "-c:a", "aac", *tags, "-movflags", "use_metadata_tags")


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def converted(tmp_path: Path) -> Convert:
    """`converted(path, **limits)`: the outcome of a conversion in a fresh folder.

    With poster and frame index only where a test asks for them: `with_poster=True`.
    """

    def run(source: Path, *, with_poster: bool = False, **limits: Any) -> Converted:
        folder = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return convert(source, folder, Limits(**limits), lambda fraction: None, with_poster=with_poster)

    return run


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    folder = tmp_path / "bucket"
    folder.mkdir()
    return FolderStore(folder)


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[Path]:
    """A work folder that must be empty again at the end of the test."""
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()
