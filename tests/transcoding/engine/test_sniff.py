"""The demuxer is chosen by the first bytes; everything else is no video."""

from pathlib import Path

import pytest

from transcoding.engine.contracts import FailureCode
from transcoding.engine.errors import BadInput
from transcoding.engine.sniff import demuxer

from .support import H264, PICTURE, Clip

MPEG4 = ("-c:v", "mpeg4")


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("sniff.mov", H264, "mov"),
        ("sniff.mp4", H264, "mov"),
        ("sniff.3gp", (*MPEG4, "-s", "176x144"), "mov"),
        ("sniff.mkv", H264, "matroska"),
        ("sniff.webm", ("-c:v", "libvpx", "-deadline", "realtime"), "matroska"),
        ("sniff.avi", MPEG4, "avi"),
        ("sniff.ts", H264, "mpegts"),
        ("sniff.m2ts", (*H264, "-mpegts_m2ts_mode", "1"), "mpegts"),
        ("sniff.mpg", ("-c:v", "mpeg2video"), "mpeg"),
    ],
)
def test_it_knows_every_container_that_phones_and_cameras_write(clip: Clip, name, codec, expected):
    assert demuxer(clip(name, *PICTURE, *codec)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nneighbour.ts\n",
        b"<?xml version='1.0'?><MPD></MPD>",
        b"file '../../neighbour.mov'\n",
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"G" * 3,
        b"\x00\x00\x00\x03ftypisom",
        b"x",
    ],
)
def test_whatever_its_name_anything_else_is_no_video(tmp_path: Path, content):
    path = tmp_path / "video.mov"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refusal:
        demuxer(path)
    assert refusal.value.code == FailureCode.NOT_A_VIDEO


def test_nothing_at_all_is_empty(tmp_path: Path):
    path = tmp_path / "video.mov"
    path.touch()
    with pytest.raises(BadInput) as refusal:
        demuxer(path)
    assert refusal.value.code == FailureCode.EMPTY
