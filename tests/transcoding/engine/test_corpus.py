"""Real phone and camera files, against the list of what each must become."""

import csv
from pathlib import Path
from typing import Any

import pytest

from transcoding.engine.contracts import Limits
from transcoding.engine.convert import convert

from .support import SHARED_MEDIA, Judge, without

QUICK = {
    "an02_pixel_hlg10_gps.mp4",
    "an11_3gp5_720p_rot90_gps.3gp",
    "an14_h263_qcif.3gp",
    "bad02_moov_missing.mp4",
    "bad03_text_as_mp4.mp4",
    "bad08_vp9_invalid_bitstream.webm",
    "cam05_canon_mjpeg_pcm.avi",
    "ip05_iphone6_mebx_gps.mov",
    "ip11_14pro_dv_hlg_720.mov",
    "odd03_empty_second_video_track.mp4",
    "web02_vp9_odd_dims.webm",
}
FRAMES_HIDDEN = {"an10_samsung_sef_slowmo.mp4": 1, "bad01_corrupted_bitstream.mp4": 50}
"""Frames that an edit list hides, or that cannot be decoded, and so are not in an encoded output."""


def listed() -> list[Any]:
    index = SHARED_MEDIA / "INDEX.tsv"
    if not index.exists():
        return [pytest.param(None, id="no files")]
    with index.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    slow = pytest.mark.slow
    return [pytest.param(row, id=row["file"], marks=() if row["file"] in QUICK else slow) for row in rows]


@pytest.mark.parametrize("row", listed())
def test_a_real_file_becomes_what_it_must(row: dict[str, str] | None, tmp_path: Path, judge: Judge):
    if row is None:
        without("The folder of real phone videos, ../shared/media beside the repository,")
    outcome = convert(SHARED_MEDIA / row["file"], tmp_path, Limits(), lambda fraction: None)
    assert (outcome.code or "ok") in row["expect"].split("|"), outcome.detail
    if outcome.mp4:
        _hold_against(row, judge(outcome.mp4))
        assert b"moov" in outcome.mp4.read_bytes()[:64]
        assert outcome.poster


def _hold_against(row: dict[str, str], judged: dict[str, Any]) -> None:
    video = next(stream for stream in judged["streams"] if stream["codec_type"] == "video")
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    assert {video[tag] for tag in ("color_space", "color_transfer", "color_primaries")} == {"bt709"}
    assert {stream["codec_name"] for stream in judged["streams"]} <= {"h264", "aac"}
    if row["width"] != "-":
        assert (video["width"], video["height"]) == _within_limits(int(row["width"]), int(row["height"]))
    if row["duration"] != "-":
        assert float(judged["format"]["duration"]) == pytest.approx(float(row["duration"]), abs=0.1)
    if row["frames"] != "-":
        missing = int(row["frames"]) - int(video["nb_frames"])
        assert 0 <= missing <= FRAMES_HIDDEN.get(row["file"], 0)


def _within_limits(width: int, height: int) -> tuple[int, int]:
    """Until copying keeps larger pictures as they are, every output has a long side of 1920 at most."""
    scale = min(1.0, 1920 / max(width, height))
    return round(width * scale), round(height * scale)
