"""An output that is not what was planned is never published."""

from dataclasses import replace
from pathlib import Path

import pytest

from transcoding.engine import boxes
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput
from transcoding.engine.plan import NO_AUDIO, Plan, plan
from transcoding.engine.probe import probe
from transcoding.engine.verify import verify

from .support import H264, PICTURE, Clip, Convert, ffmpeg


@pytest.fixture
def good(phone_clip: Path, converted: Convert) -> Path:
    mp4 = converted(phone_clip).mp4
    assert mp4
    return mp4


@pytest.fixture
def planned(phone_clip: Path) -> Plan:
    return plan(probe(phone_clip, Limits()), Limits())


def flaw(output: Path, planned: Plan, source: Path, **limits: float) -> tuple[FailureCode, str]:
    with pytest.raises(BadInput) as refused:
        verify(output, planned, probe(source, Limits()), Limits(**limits))
    return refused.value.code, refused.value.detail


def changed(path: Path, *arguments: str) -> Path:
    """A variant of an MP4, copied with other arguments."""
    other = path.with_name("changed.mp4")
    ffmpeg("-i", path, "-c", "copy", *arguments, other)
    return other


def test_a_good_output_passes_and_is_described(good: Path, planned: Plan, phone_clip: Path):
    made = verify(good, planned, probe(phone_clip, Limits()), Limits())
    assert (made.video[0].codec, made.video[0].frames, made.audio[0].codec) == ("h264", 25, "aac")


def test_an_index_behind_the_pictures_is_refused(good: Path, planned: Plan, phone_clip: Path):
    late = changed(good)
    assert boxes.kinds(late).index(b"moov") > boxes.kinds(late).index(b"mdat")
    assert flaw(late, planned, phone_clip) == (FailureCode.OUTPUT_INVALID, "the index is not first")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"width": 640}, "width is 320, planned 640"), ({"height": 242}, "height is 240, planned 242")],
)
def test_another_size_is_refused(good: Path, planned: Plan, phone_clip: Path, changes, words):
    other = replace(planned, video=replace(planned.video, **changes))
    assert flaw(good, other, phone_clip) == (FailureCode.OUTPUT_INVALID, words)


def test_missing_and_unplanned_sound_are_refused(good: Path, planned: Plan, phone_clip: Path):
    silent = changed(good, "-an", "-movflags", "+faststart")
    assert flaw(silent, planned, phone_clip) == (FailureCode.OUTPUT_INVALID, "audio streams: none")
    assert flaw(good, replace(planned, audio=NO_AUDIO), phone_clip)[1] == "audio streams: aac"


def test_other_colours_and_codecs_are_refused(clip: Clip, planned: Plan, phone_clip: Path):
    untagged = clip("untagged.mp4", *PICTURE, *H264, "-movflags", "+faststart")
    silent = replace(planned, audio=NO_AUDIO)
    assert "color_matrix is not given, planned bt709" in flaw(untagged, silent, phone_clip)[1]
    old = clip("mpeg4.mp4", *PICTURE, "-c:v", "mpeg4", "-movflags", "+faststart")
    assert "codec is mpeg4, planned h264" in flaw(old, silent, phone_clip)[1]


def test_a_lost_end_is_damage_and_a_gained_one_is_our_fault(good: Path, planned: Plan, phone_clip: Path):
    longer, shorter = replace(planned, video_duration=1.2), replace(planned, video_duration=0.8)
    assert flaw(good, longer, phone_clip)[0] == FailureCode.DAMAGED
    assert flaw(good, shorter, phone_clip)[0] == FailureCode.OUTPUT_INVALID


def test_a_source_that_lasted_longer_than_allowed_is_too_long(good: Path, planned: Plan, phone_clip: Path):
    assert flaw(good, planned, phone_clip, duration=0.5)[0] == FailureCode.TOO_LONG


def test_what_cannot_be_probed_is_refused(good: Path, planned: Plan, phone_clip: Path):
    good.write_bytes(good.read_bytes()[:600])
    assert flaw(good, planned, phone_clip)[0] == FailureCode.OUTPUT_INVALID
