"""Packets as our own reader sees them, against Debian's ffprobe."""

from pathlib import Path

import pytest

from transcoding.engine import packets
from transcoding.engine.errors import BadInput

from .support import H264, PICTURE, SOUND, Clip, Judge, changed

AAC = ("-c:a", "aac")
VARIABLE = ("-vf", "setpts='(N+0.4*mod(N\\,3))/25/TB'", "-fps_mode", "vfr", "-enc_time_base:v", "1:90000")
FILMS = {
    "plain": (*PICTURE, *H264),
    "with-b-frames": (*PICTURE, "-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p"),
    "many-keys": (*PICTURE, *H264, "-g", "5"),
    "only-keys": (*PICTURE, *H264, "-g", "1"),
    "variable": (*PICTURE, *VARIABLE, *H264),
    "with-sound": (*PICTURE, *SOUND, *H264, *AAC),
    "late-picture": ("-itsoffset", "0.7", *PICTURE, *SOUND, "-c:v", "libx264", "-pix_fmt", "yuv420p", *AAC),
    "one-frame": (*PICTURE, *H264, "-frames:v", "1"),
    "index-last": (*PICTURE, *SOUND, *H264, *AAC, "-movflags", "0"),
}


WITHOUT_SEI = ("-bsf:v", "filter_units=remove_types=6")


@pytest.fixture(params=FILMS)
def film(request: pytest.FixtureRequest, clip: Clip) -> Path:
    return clip(f"packets-{request.param}.mp4", *FILMS[request.param], *WITHOUT_SEI)


def test_times_and_key_frames_are_what_another_demuxer_reads(film: Path, judge: Judge):
    entries = ("-show_entries", "packet=codec_type,pts_time,flags")
    told = judge(film, *entries)["packets"]
    pictures = [packet for packet in told if packet["codec_type"] == "video"]

    found = packets.read(film)

    assert found.flaws == set()
    assert list(found.times) == pytest.approx(sorted(float(p["pts_time"]) for p in pictures), abs=2e-6)
    keys = sorted(float(packet["pts_time"]) for packet in pictures if "K" in packet["flags"])
    assert list(found.keyframes) == pytest.approx(keys, abs=2e-6)
    assert found.sounds == len(told) - len(pictures)


def test_messages_in_the_pictures_are_found(clip: Clip):
    told = clip("packets-told.mp4", *PICTURE, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    assert packets.read(told).flaws == {"messages are left in the pictures"}


def test_frames_behind_an_edit_list_are_found(clip: Clip):
    """A film that begins in the middle of a group of pictures: what lies before it is there, and hidden."""
    whole = clip("packets-whole.mp4", *PICTURE, *H264)
    cut = clip("packets-cut.mp4", "-ss", "0.5", "-i", whole, "-c", "copy")
    assert "frames are hidden by an edit list" in packets.read(cut).flaws


TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
DAMAGES = {
    "no packet has a size": (b"stsz", lambda table: table[:8]),
    "more packets than places": (
        b"stsz",
        lambda table: table[:8] + b"\0\0\0\xff" + table[12:],
    ),
    "no chunks": (b"stco", lambda table: b"\0" * 8),
    "the chunks end early": (b"stco", lambda table: table[:10]),
    "no time": (b"stts", lambda table: b"\0" * 8),
    "billions of packets": (b"stsz", lambda table: table[:4] + b"\0\0\0\1" + b"\xff" * 4),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_makes_no_sense_is_refused_and_not_believed(clip: Clip, tmp_path: Path, damage: str):
    whole = clip("packets-plain.mp4", *FILMS["plain"], *WITHOUT_SEI).read_bytes()
    table, change = DAMAGES[damage]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(changed(whole, (*TABLES, table), change))
    with pytest.raises(BadInput) as refusal:
        packets.read(broken)
    assert refusal.value.code == "output_invalid"


def test_a_file_that_was_cut_off_shows(clip: Clip, tmp_path: Path):
    first = clip("packets-first.mp4", *PICTURE, *H264, "-movflags", "+faststart")
    short = tmp_path / "short.mp4"
    short.write_bytes(first.read_bytes()[:-5000])
    assert "a packet lies outside the file" in packets.read(short).flaws


def test_a_picture_that_was_overwritten_shows(clip: Clip, tmp_path: Path):
    plain = clip("packets-plain.mp4", *FILMS["plain"], *WITHOUT_SEI)
    content = bytearray(plain.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin : begin + 4] = b"\0\0\0\7"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    assert "a picture is cut off" in packets.read(broken).flaws
