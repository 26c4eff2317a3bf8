"""Poster and storyboard of an encoded video come from the one decode that the encode needs anyway."""

from collections.abc import Callable
from pathlib import Path

import pytest

from transcoding.engine.contracts import Limits
from transcoding.engine.convert import Conversion, Converted

from .support import MPEG4, PICTURE, SOUND, Clip, ffmpeg

Whole = Callable[[Path], tuple[Converted, list[str]]]


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Whole:
    """`whole(path)`: the conversion with its extras, and the file that each run of ffmpeg read."""
    inputs: list[str] = []
    real = Conversion._run

    def run(self, arguments, *rest, **more):
        inputs.append(arguments[arguments.index("-i") + 1].removeprefix("file:"))
        return real(self, arguments, *rest, **more)

    monkeypatch.setattr(Conversion, "_run", run)

    def convert(source: Path) -> tuple[Converted, list[str]]:
        conversion = Conversion(source, tmp_path, Limits(), lambda fraction: None)
        begun = conversion.begin()
        assert begun.code is None, begun.detail
        return conversion.finish(), inputs

    return convert


def test_an_encode_decodes_its_source_once_for_all_pictures(clip: Clip, whole: Whole):
    three = clip(
        "three.mov", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3.2", *SOUND, *MPEG4
    )

    done, inputs = whole(three)

    # One encode, and its small pictures put on one sheet.
    assert inputs == ["source", "storyboard.raw"]
    assert done.poster
    assert done.sheet
    assert done.sheet.times == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.001)


def test_each_small_picture_is_the_frame_that_its_index_names(clip: Clip, whole: Whole):
    """Every second of this film is brighter than the one before."""
    steps = "geq=lum='16+40*floor(T)':cb=128:cr=128"
    film = clip(
        "steps.mov", "-f", "lavfi", "-i", "color=size=320x240:rate=10:duration=5", "-vf", steps, *MPEG4
    )

    done, _ = whole(film)

    assert done.sheet
    assert done.storyboard
    tiles = f"untile={done.sheet.columns}x{done.sheet.rows},scale=1:1:flags=area,format=gray"
    greys = list(ffmpeg("-i", done.storyboard, "-vf", tiles, "-f", "rawvideo", "-"))[: len(done.sheet.times)]
    assert done.sheet.times == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.001)
    assert greys == sorted(greys)
    assert len(set(greys)) == len(greys) == 5


def test_a_source_that_does_not_know_its_length_is_decoded_once_too(clip: Clip, whole: Whole):
    """As browsers record: the header is written before the length is known."""
    live = clip("live.webm", *PICTURE, "-c:v", "libvpx", "-deadline", "realtime", "-f", "webm", "-live", "1")

    done, inputs = whole(live)

    assert inputs == ["source", "storyboard.raw"]
    assert done.poster


def test_what_spoils_the_pictures_does_not_cost_the_film(
    clip: Clip, whole: Whole, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transcoding.engine.command._shared_graph", lambda *arguments: "no such filter")
    silent = clip("silent.mov", *PICTURE, *MPEG4)

    done, inputs = whole(silent)

    assert inputs[:2] == ["source", "source"]
    assert done.mp4
    assert done.poster
    assert done.storyboard


def test_small_pictures_that_do_not_add_up_are_made_anew(
    clip: Clip, whole: Whole, monkeypatch: pytest.MonkeyPatch
):
    """An index that names other frames than the sheet shows is worse than another decode."""
    monkeypatch.setattr("transcoding.engine.storyboard.raw_bytes", lambda laid_out: -1)
    silent = clip("silent.mov", *PICTURE, *MPEG4)

    done, inputs = whole(silent)

    assert inputs == ["source", "output.mp4"]
    assert done.storyboard
