"""Which small pictures are on the sheet, and what its index says."""

from array import array

import pytest

from transcoding.engine.packets import Packets
from transcoding.engine.storyboard import index, sheet


def film(seconds: float, *, rate: float = 10.0, keys_every: float = 1.0) -> Packets:
    times = array("d", (frame / rate for frame in range(round(seconds * rate))))
    step = round(keys_every * rate)
    return Packets(times=times, keyframes=times[::step])


def test_a_short_film_has_one_picture_a_second():
    laid_out = sheet(film(9), 9.0, (1920, 1080), is_copy=False)
    assert laid_out.times == pytest.approx([float(second) for second in range(9)])
    assert (laid_out.columns, laid_out.rows, laid_out.width, laid_out.height) == (3, 3, 160, 90)
    assert not laid_out.keys_only


def test_a_long_film_has_a_hundred_at_most():
    laid_out = sheet(film(1800, rate=2), 1800.0, (1080, 1920), is_copy=False)
    assert len(laid_out.times) <= 100
    assert (laid_out.columns, laid_out.rows, laid_out.width, laid_out.height) == (10, 10, 90, 160)
    assert laid_out.keys_only


def test_of_a_copy_only_key_frames_are_looked_at():
    laid_out = sheet(film(9, keys_every=3), 9.0, (640, 480), is_copy=True)
    assert (laid_out.times, laid_out.keys_only) == ((0.0, 3.0, 6.0), True)


def test_the_index_covers_the_whole_film_without_gaps():
    laid_out = sheet(film(3.5), 3.5, (640, 480), is_copy=False)
    assert index(laid_out, 3.5, "a.jpg") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.000\na.jpg#xywh=0,0,160,120\n\n"
        "00:00:01.000 --> 00:00:02.000\na.jpg#xywh=160,0,160,120\n\n"
        "00:00:02.000 --> 00:00:03.000\na.jpg#xywh=0,120,160,120\n\n"
        "00:00:03.000 --> 00:00:03.500\na.jpg#xywh=160,120,160,120\n"
    )


def test_a_film_of_one_frame_has_one_picture():
    laid_out = sheet(film(0.1), 0.0, (50, 50), is_copy=True)
    assert (laid_out.columns, laid_out.rows) == (1, 1)
    assert "00:00:00.000 --> 00:00:00.001" in index(laid_out, 0.0, "a.jpg")
