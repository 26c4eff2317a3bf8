"""Files made to harm: each ends in a code, reads no other file and leaves nothing running."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transcoding.engine import convert as conversion
from transcoding.engine import probe as probing
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode

from .support import H264, PICTURE, REPOSITORY, Clip, Convert, without


@pytest.fixture
def no_program_may_run(monkeypatch):
    """Any attempt to start ffmpeg or ffprobe fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("A program was started for a file that is no video.")

    monkeypatch.setattr(probing, "run", refuse)
    monkeypatch.setattr(conversion, "run", refuse)


@pytest.fixture
def neighbour(tmp_path: Path, clip: Clip) -> Path:
    """Another patient's video in the same folder, reachable by a relative name."""
    path = tmp_path / "neighbour.ts"
    shutil.copyfile(clip("neighbour.ts", *PICTURE, *H264), path)
    return path


CONCAT = "ffconcat version 1.0\nfile '{name}'\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n"


def plain_ffmpeg_reads(path: Path) -> bool:
    """Whether ffmpeg, left to guess, makes a video of it: the attack that these files are."""
    command = [find_ffmpeg().path, "-nostdin", "-v", "error", "-i", path.name, "-f", "null", "-"]
    return subprocess.run(command, cwd=path.parent, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "payload"), [("evil.mov", CONCAT), ("evil.mp4", CONCAT), ("evil.m3u8", PLAYLIST)]
)
def test_a_script_that_names_a_neighbour_is_no_video(
    tmp_path, neighbour, converted, no_program_may_run, *, name, payload
):
    evil = tmp_path / name
    evil.write_text(payload.format(name=neighbour.name))
    assert plain_ffmpeg_reads(evil), "The payload is no threat, so this test proves nothing."
    assert converted(evil).code == FailureCode.NOT_A_VIDEO


@pytest.mark.usefixtures("no_program_may_run")
@pytest.mark.parametrize(
    "payload",
    [
        CONCAT.format(name="/etc/passwd"),
        PLAYLIST.format(name="http://127.0.0.1:9/segment.ts"),
        PLAYLIST.format(name="file:///etc/passwd"),
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "%s%n ../../x \u202e\n",
        "RIFF....WAVE",
    ],
)
def test_other_text_is_no_video_whatever_it_asks_for(tmp_path: Path, converted: Convert, payload: str):
    evil = tmp_path / "evil.mov"
    evil.write_text(payload)
    assert converted(evil).code == FailureCode.NOT_A_VIDEO


def test_no_file_but_our_own_is_opened(tmp_path: Path, phone_clip: Path):
    strace = shutil.which("strace")
    if strace is None:
        without("strace")
    work = tmp_path / "work"
    work.mkdir()
    script = (
        "import sys; from pathlib import Path\n"
        "from transcoding.engine.contracts import Limits\n"
        "from transcoding.engine.convert import convert\n"
        "outcome = convert(Path(sys.argv[1]), Path(sys.argv[2]), Limits(), lambda fraction: None)\n"
        "assert outcome.code is None, outcome\n"
    )
    trace = tmp_path / "trace"
    arguments = [strace, "-ff", "-qq", "-o", trace, "-e", "trace=execve,openat,open,socket,connect"]
    subprocess.run(
        [*arguments, sys.executable, "-c", script, phone_clip, work],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    seen = [path.read_text() for path in tmp_path.glob("trace.*")]
    ours = [text for text in seen if "-protocol_whitelist" in text]
    assert ours, "No run of ffmpeg was traced."
    for text in ours:
        after = text[text.index("-protocol_whitelist") :]
        assert "socket(" not in after
        assert "connect(" not in after
        opened = [line.split('"')[1] for line in after.splitlines() if line.startswith(("openat(", "open("))]
        system = ("/proc/", "/sys/", "/etc/ld.so", "/lib", "/usr/lib", "/dev/")
        assert [name for name in opened if name.startswith("/") and not name.startswith(system)] == []
