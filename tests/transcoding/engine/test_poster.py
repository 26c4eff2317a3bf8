"""The still picture that stands for a video."""

from pathlib import Path
from typing import Any

import pytest

from transcoding.engine.convert import Converted

from .support import H264, PICTURE, Clip, Convert, Judge, ffmpeg


def poster(outcome: Converted) -> Path:
    assert outcome.poster, outcome.detail
    return outcome.poster


def brightness(path: Path) -> int:
    return ffmpeg("-i", path, "-vf", "scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-")[0]


def test_it_is_a_jpeg_of_the_shown_size(phone_clip: Path, converted: Convert, judge: Judge):
    picture = judge.video(poster(converted(phone_clip, with_poster=True)))
    assert (picture["codec_name"], picture["width"], picture["height"]) == ("mjpeg", 320, 240)


def test_it_is_upright_and_at_most_1280_pixels_long(clip: Clip, converted: Convert, judge: Judge):
    flat = clip("hd.mp4", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=10:duration=0.3", *H264)
    turned = clip("hd-turned.mov", "-display_rotation", "-90", "-i", flat, "-c", "copy")
    picture = judge.video(poster(converted(turned, with_poster=True)))
    assert (picture["width"], picture["height"]) == (720, 1280)


@pytest.mark.parametrize("black_seconds", [0.3, 0.6])
def test_it_is_not_one_of_the_black_frames_at_the_start(clip: Clip, converted: Convert, black_seconds: Any):
    fade = f"drawbox=color=black:thickness=fill:enable='lt(t,{black_seconds})'"
    source = clip(f"dark{black_seconds}.mp4", *PICTURE, "-vf", fade, *H264)
    assert brightness(poster(converted(source, with_poster=True))) > 60


def test_a_film_that_is_black_throughout_still_has_one(clip: Clip, converted: Convert):
    black = clip("black.mp4", "-f", "lavfi", "-i", "color=black:size=320x240:duration=0.5", *H264)
    assert brightness(poster(converted(black, with_poster=True))) < 10


def test_it_names_no_encoder_and_no_one(phone_clip: Path, converted: Convert):
    content = poster(converted(phone_clip, with_poster=True)).read_bytes()
    assert content[:3] == b"\xff\xd8\xff"
    assert not [word for word in (b"Lavc", b"Exif", b"Secretmaker", b"52.52") if word in content]
