"""`manage.py transcode INPUT OUTPUT [--json]`: what it prints, writes and ends with."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.core.management.base import OutputWrapper

from .support import LONG, REPOSITORY, Clip, eventually, processes_in

KEYS = ["outcome", "code", "message", "video", "audio", "reasons", "facts", "output", "seconds"]


def manage(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command as `manage.py` does, but in this process: starting another takes half a second."""
    words, said, complained = ["transcode", *map(str, arguments)], io.StringIO(), io.StringIO()
    command = load_command_class("transcoding", "transcode")
    status: int | str | None = 0
    with redirect_stdout(said), redirect_stderr(complained):
        command.stdout, command.stderr = OutputWrapper(said), OutputWrapper(complained)
        try:
            command.run_from_argv(["manage.py", *words])
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(words, int(status or 0), said.getvalue(), complained.getvalue())


def manage_for_real(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, REPOSITORY / "manage.py", "transcode", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert list(report) == KEYS
    return report


def test_it_writes_the_mp4_and_describes_it_in_json(phone_clip: Path, tmp_path: Path):
    output = tmp_path / "out.mp4"
    done = manage_for_real(phone_clip, output, "--json")
    report = answer(done)
    assert done.returncode == 0
    assert (report["outcome"], report["code"], report["message"]) == ("succeeded", None, "")
    assert (report["video"], report["audio"]) == ("copy", "copy")
    content = output.read_bytes()
    made = report["output"]
    assert made.pop("duration") == pytest.approx(1.0, abs=0.1)
    assert made == {
        "path": str(output),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "width": 320,
        "height": 240,
    }
    assert report["facts"]["video"][0]["codec"] == "h264"
    assert all(": " in reason for reason in report["reasons"])
    assert report["seconds"] > 0
    assert list(tmp_path.iterdir()) == [output]


def test_without_json_it_says_one_line_and_draws_no_bar_in_a_pipe(phone_clip: Path, tmp_path: Path):
    done = manage(phone_clip, tmp_path / "out.mp4")
    assert done.returncode == 0
    assert "320x240, 1.0 s of video" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty"), (b"Dear doctor", "not_a_video"), (None, "source_missing")]
)
def test_bad_input_ends_with_two_and_leaves_nothing(tmp_path: Path, content, code):
    source, output = tmp_path / "in.mov", tmp_path / "out.mp4"
    if content is not None:
        source.write_bytes(content)
    output.write_bytes(b"an older conversion")
    done = manage(source, output, "--json")
    report = answer(done)
    assert done.returncode == 2
    assert (report["outcome"], report["code"], report["output"]) == ("failed", code, None)
    assert report["message"].endswith(".")
    assert (report["video"], report["audio"]) == ("none", "none")
    assert not output.exists()
    assert list(tmp_path.iterdir()) == ([source] if content is not None else [])


def test_a_device_or_a_pipe_is_no_video_and_is_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mov")
    assert answer(manage(tmp_path / "pipe.mov", tmp_path / "out.mp4", "--json"))["code"] == "not_a_video"
    assert answer(manage("/dev/zero", tmp_path / "out.mp4", "--json"))["code"] == "not_a_video"


@pytest.mark.parametrize("name", ["-i.mov", "new\nline.mov", "🦵 %s 'knee'.mov"])
def test_any_name_of_a_file_will_do(phone_clip: Path, tmp_path: Path, name: str):
    source = tmp_path / name
    source.write_bytes(phone_clip.read_bytes())
    output = tmp_path / f"{name}.mp4"
    report = answer(manage(source, output, "--json"))
    assert report["outcome"] == "succeeded"
    assert report["output"]["path"] == str(output)
    assert output.exists()


def test_a_fault_ends_with_one_and_keeps_what_was_there(phone_clip: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FFMPEG_PATH", "/nonexistent/ffmpeg")
    output = tmp_path / "out.mp4"
    output.write_bytes(b"an older conversion")
    done = manage(phone_clip, output, "--json")
    assert done.returncode == 1
    assert "/nonexistent/ffmpeg does not run" in done.stderr
    assert output.read_bytes() == b"an older conversion"
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_that_cannot_be_written_is_a_fault(phone_clip: Path, tmp_path: Path):
    assert manage(phone_clip, tmp_path / "nowhere" / "out.mp4").returncode == 1
    assert manage(phone_clip, tmp_path).returncode == 1
    copy = tmp_path / "same.mov"
    copy.write_bytes(phone_clip.read_bytes())
    done = manage(copy, copy)
    assert (done.returncode, copy.read_bytes()) == (1, phone_clip.read_bytes())
    assert "OUTPUT is INPUT" in done.stderr


def test_a_wrong_command_line_is_not_mistaken_for_a_bad_video():
    assert manage_for_real().returncode == 1
    assert manage_for_real("only-one").returncode == 1


def test_ending_it_kills_ffmpeg_and_cleans_up(clip: Clip, tmp_path: Path):
    source = clip("long.mov", *LONG)
    arguments = [sys.executable, REPOSITORY / "manage.py", "transcode", source, tmp_path / "out.mp4"]
    with subprocess.Popen(arguments, cwd=REPOSITORY) as command:
        try:
            assert any(eventually(lambda: bool(processes_in(tmp_path))) for _ in range(6))
        finally:
            command.send_signal(signal.SIGTERM)
        assert command.wait(30) == 128 + signal.SIGTERM
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
