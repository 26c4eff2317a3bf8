"""An output that is not what was planned is never published."""

from dataclasses import replace
from pathlib import Path

import pytest

from transcoding.engine import boxes, packets
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput
from transcoding.engine.facts import SourceFacts
from transcoding.engine.plan import NO_AUDIO, Plan, plan
from transcoding.engine.probe import probe
from transcoding.engine.run import Budget, Run, run
from transcoding.engine.verify import Verifier

from .support import H264, PICTURE, Clip, Convert, ffmpeg


@pytest.fixture
def good(phone_clip: Path, converted: Convert) -> Path:
    mp4 = converted(phone_clip).mp4
    assert mp4
    return mp4


@pytest.fixture
def planned(phone_clip: Path) -> Plan:
    return plan(probe(phone_clip, Limits()), Limits())


def verified(output: Path, planned: Plan, source: Path | SourceFacts, **limits: float) -> SourceFacts:
    facts = probe(source, Limits()) if isinstance(source, Path) else source
    budget = Budget(seconds=30, stall_seconds=30, memory_bytes=4 * 1024**3, file_bytes=0)

    def run_ffmpeg(arguments: list[str]) -> Run:
        return run(
            find_ffmpeg(), arguments, folder=output.parent, budget=budget, on_output=lambda chunk: True
        )

    return Verifier(Limits(**limits), run_ffmpeg).verify(output, planned, facts, packets.read(output))


def flaw(output: Path, planned: Plan, source: Path | SourceFacts, **limits: float) -> tuple[FailureCode, str]:
    with pytest.raises(BadInput) as refused:
        verified(output, planned, source, **limits)
    return refused.value.code, refused.value.detail


def changed(path: Path, *arguments: str) -> Path:
    """A variant of an MP4, copied with other arguments."""
    other = path.with_name("changed.mp4")
    ffmpeg("-i", path, "-c", "copy", "-empty_hdlr_name", "1", "-fflags", "+bitexact", *arguments, other)
    return other


def test_a_good_output_passes_and_is_described(good: Path, planned: Plan, phone_clip: Path):
    made = verified(good, planned, phone_clip)
    assert (made.video[0].codec, made.video[0].frames, made.audio[0].codec) == ("h264", 25, "aac")
    assert len(packets.read(good).times) == 25


def test_an_index_behind_the_pictures_is_refused(good: Path, planned: Plan, phone_clip: Path):
    late = changed(good)
    assert boxes.kinds(late).index(b"moov") > boxes.kinds(late).index(b"mdat")
    assert flaw(late, planned, phone_clip) == (FailureCode.OUTPUT_INVALID, "the index is not first")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-metadata", "title=left knee"), "it still holds udta"),
        (("-metadata", "location=+52.5200+013.4050/"), "it still holds udta"),
        (("-metadata", "creation_time=2026-11-22T08:00:00Z"), "a date in mvhd"),
        (("-metadata:s:v", "encoder=Secretmaker AVC"), "the name of an encoder"),
        (
            ("-metadata:s:v", "handler_name=Core Media Video", "-empty_hdlr_name", "0"),
            "the name of a handler",
        ),
        (("-movflags", "+use_metadata_tags+faststart", "-metadata", "make=Secretmaker"), "it still holds"),
    ],
    ids=["title", "place", "date", "encoder", "device", "tags"],
)
def test_what_says_where_when_or_with_what_it_was_filmed_is_refused(
    good: Path, planned: Plan, phone_clip: Path, *, arguments, words
):
    code, detail = flaw(changed(good, "-movflags", "+faststart", *arguments), planned, phone_clip)
    assert code == FailureCode.OUTPUT_INVALID
    assert words in detail
    assert "knee" not in detail


def test_messages_inside_the_pictures_are_refused(phone_clip: Path, planned: Plan, tmp_path: Path):
    chatty = tmp_path / "chatty.mp4"
    plain = (
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        "-empty_hdlr_name",
        "1",
        "-movflags",
        "+faststart",
    )
    ffmpeg("-i", phone_clip, "-c", "copy", *plain, chatty)
    assert flaw(chatty, planned, phone_clip)[1] == "messages are left in the pictures"


def test_sound_that_slipped_against_the_picture_is_refused(good: Path, planned: Plan, phone_clip: Path):
    late = good.with_name("late.mp4")
    plain = ("-fflags", "+bitexact", "-empty_hdlr_name", "1", "-movflags", "+faststart")
    twice = ("-i", good, "-itsoffset", "0.1", "-i", good, "-map", "0:v", "-map", "1:a")
    ffmpeg(*twice, "-c", "copy", *plain, late)
    assert "ms further apart than in the source" in flaw(late, planned, phone_clip)[1]


def test_a_picture_that_cannot_be_decoded_is_refused(good: Path, planned: Plan, phone_clip: Path):
    content = bytearray(good.read_bytes())
    start = content.index(b"mdat") + 400
    content[start : start + 2000] = bytes(byte ^ 0xA5 for byte in content[start : start + 2000])
    good.write_bytes(content)
    assert flaw(good, planned, phone_clip)[0] == FailureCode.OUTPUT_INVALID


def test_lost_frames_are_damage_and_new_ones_our_fault(good: Path, planned: Plan, phone_clip: Path):
    source = probe(phone_clip, Limits())
    fewer = replace(source, video=(replace(source.video[0], frames=13, frame_rate=13.0),))
    more = replace(source, video=(replace(source.video[0], frames=50, frame_rate=50.0),))
    assert flaw(good, planned, fewer) == (FailureCode.OUTPUT_INVALID, "25 frames came of 13.")
    assert flaw(good, planned, more) == (FailureCode.DAMAGED, "25 of 50 frames could be read.")
    thinned = replace(planned, video=replace(planned.video, thinned=True))
    assert verified(good, thinned, more)


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


def test_other_colours_and_codecs_are_refused(clip: Clip, phone_clip: Path):
    untagged = clip("untagged.mp4", *PICTURE, *H264, "-movflags", "+faststart")
    encoded = plan(probe(phone_clip, Limits()), Limits(), copying=False)
    silent = replace(encoded, audio=NO_AUDIO)
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
