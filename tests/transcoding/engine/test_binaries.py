"""Which ffmpeg and ffprobe are used."""

from pathlib import Path

import pytest

from transcoding.engine.binaries import find_ffmpeg, find_ffprobe, found
from transcoding.engine.errors import FfmpegMissing, TransientFault


def script(folder: Path, name: str, answer: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_both_are_found_with_path_and_version():
    binaries = found()
    assert set(binaries) == {"ffmpeg", "ffprobe"}
    for path, version in binaries.values():
        assert Path(path).is_file()
        assert version


def test_the_environment_comes_before_the_path(monkeypatch):
    bundled = find_ffmpeg().path
    monkeypatch.setenv("FFMPEG_PATH", str(bundled))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_ffmpeg().path == bundled


def test_an_argument_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("FFPROBE_PATH", "/nonexistent/ffprobe")
    bundled = find_ffmpeg().path
    assert find_ffmpeg(str(bundled)).path == bundled


def test_a_setting_that_does_not_work_is_an_error_and_not_a_hint(monkeypatch):
    monkeypatch.setenv("FFPROBE_PATH", "/nonexistent/ffprobe")
    with pytest.raises(FfmpegMissing, match="/nonexistent/ffprobe does not run"):
        find_ffprobe()


def test_an_old_one_on_the_path_is_passed_over(monkeypatch, tmp_path):
    script(tmp_path, "ffprobe", "ffprobe version 5.1.9-0+deb12u1 Copyright")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FFPROBE_PATH", raising=False)
    assert find_ffprobe().path.parent != tmp_path


def test_an_old_one_by_name_is_refused(tmp_path):
    old = script(tmp_path, "ffprobe", "ffprobe version 5.1.9-0+deb12u1 Copyright")
    with pytest.raises(FfmpegMissing, match=r"5\.1\.9-0\+deb12u1, older than 7\.0"):
        find_ffprobe(str(old))


def test_a_new_one_without_the_needed_parts_is_refused(tmp_path):
    poor = script(tmp_path, "ffmpeg", "ffmpeg version 9.0 Copyright")
    with pytest.raises(FfmpegMissing, match="lacks libx264, aac, zscale"):
        find_ffmpeg(str(poor))


def test_something_else_by_that_name_is_refused(tmp_path):
    impostor = script(tmp_path, "ffmpeg", "hello")
    with pytest.raises(FfmpegMissing, match="does not answer as ffmpeg"):
        find_ffmpeg(str(impostor))


def test_none_at_all_is_a_fault_of_the_host_and_says_what_to_set(monkeypatch):
    monkeypatch.setattr("transcoding.engine.binaries._WHEELS", {"ffmpeg": lambda: None})
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("FFMPEG_PATH", raising=False)
    with pytest.raises(TransientFault, match=r"Set FFMPEG_PATH to ffmpeg 7\.0 or newer"):
        find_ffmpeg()
