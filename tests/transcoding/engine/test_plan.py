"""Decisions, from facts alone."""

from dataclasses import replace
from typing import Any

import pytest

from transcoding.engine.contracts import FailureCode, Limits, Treatment
from transcoding.engine.errors import BadInput
from transcoding.engine.facts import AudioStream, Hdr, SourceFacts, VideoStream
from transcoding.engine.plan import Plan, plan


def video(**changes: Any) -> VideoStream:
    """A plain phone film: 1080p30, ten seconds, BT.709."""
    stream = VideoStream(
        index=0,
        codec="h264",
        profile="High",
        level=40,
        pixel_format="yuv420p",
        width=1920,
        height=1080,
        coded_width=1920,
        coded_height=1080,
        cropped=False,
        sample_aspect=1.0,
        rotation=0,
        mirrored=False,
        turned_inside=False,
        interlaced=False,
        color_range="tv",
        color_matrix="bt709",
        color_transfer="bt709",
        color_primaries="bt709",
        hdr=Hdr.NONE,
        dolby_vision=None,
        frame_rate=30.0,
        frames=300,
        duration=10.0,
        start=0.0,
        cut=False,
        changing=False,
        has_extradata=True,
        is_default=True,
        is_picture=False,
    )
    return replace(stream, **changes)


def audio(**changes: Any) -> AudioStream:
    stream = AudioStream(
        index=1,
        codec="aac",
        profile="LC",
        channels=2,
        sample_rate=48000,
        duration=10.0,
        start=0.0,
        cut=False,
        has_extradata=True,
        is_default=True,
    )
    return replace(stream, **changes)


def facts(*streams: VideoStream | AudioStream, **changes: Any) -> SourceFacts:
    source = SourceFacts(
        container="mov",
        size=1_000_000,
        fragmented=False,
        torn=False,
        duration=10.0,
        start=0.0,
        encrypted=False,
        other_streams=0,
        video=tuple(stream for stream in streams if isinstance(stream, VideoStream)),
        audio=tuple(stream for stream in streams if isinstance(stream, AudioStream)),
    )
    return replace(source, **changes)


def refusal(source: SourceFacts, **limits: Any) -> FailureCode:
    with pytest.raises(BadInput) as refused:
        plan(source, Limits(**limits))
    return refused.value.code


def encoded(*streams: VideoStream | AudioStream, **limits: Any) -> Plan:
    """The plan for the case that nothing may be copied."""
    return plan(facts(*streams), Limits(**limits), copying=False)


def filters(stream: VideoStream, **limits: Any) -> str:
    return ",".join(encoded(stream, **limits).video.filters)


def codes(source: SourceFacts) -> list[str]:
    return [reason.partition(":")[0] for reason in plan(source, Limits()).reasons]


# Copy or encode


def test_h264_and_aac_are_copied_and_say_why():
    decided = plan(facts(video(), audio()), Limits())
    assert (decided.video.treatment, decided.audio.treatment) == (Treatment.COPY, Treatment.COPY)
    assert (decided.video.width, decided.video.height) == (1920, 1080)
    assert codes(facts(video(), audio())) == ["video_copy", "audio_copy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "Constrained Baseline"},
        {"profile": "Baseline"},
        {"profile": "Main"},
        {"pixel_format": "yuvj420p", "color_range": "pc"},
        {"level": 52},
        {"coded_width": 4096, "coded_height": 2304},
        {"coded_width": 2160, "coded_height": 3840},
        {"rotation": 90},
        {"rotation": 180},
        {"frame_rate": 240.0},
        {"coded_width": 161, "coded_height": 121},
        {"color_matrix": "", "color_primaries": "", "color_transfer": ""},
    ],
    ids=repr,
)
def test_whatever_plays_everywhere_is_copied(changes):
    assert plan(facts(video(**changes)), Limits()).video.treatment is Treatment.COPY


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"codec": "hevc"}, "video_codec"),
        ({"profile": "High 10"}, "video_profile"),
        ({"profile": "Extended"}, "video_profile"),
        ({"profile": ""}, "video_profile"),
        ({"pixel_format": "yuv420p10le"}, "pixel_format"),
        ({"pixel_format": "yuv422p"}, "pixel_format"),
        ({"level": 60}, "video_level"),
        ({"level": None}, "video_level"),
        ({"interlaced": True}, "interlaced"),
        ({"hdr": Hdr.PQ}, "hdr"),
        ({"hdr": Hdr.HLG}, "hdr"),
        ({"has_extradata": False}, "extradata"),
        ({"coded_width": 4098, "coded_height": 2160}, "size_limit"),
        ({"coded_width": 2880, "coded_height": 2880}, "size_limit"),
        ({"mirrored": True}, "orientation"),
        ({"rotation": 45}, "orientation"),
        ({"turned_inside": True}, "orientation"),
        ({"cropped": True}, "cropped"),
        ({"cut": True}, "edit_list"),
        ({"changing": True}, "changing"),
    ],
    ids=repr,
)
def test_what_browsers_do_not_play_or_would_play_wrongly_is_encoded(changes, code):
    source = facts(video(**changes))
    assert plan(source, Limits()).video.treatment is Treatment.ENCODE
    assert code in codes(source)


@pytest.mark.parametrize(
    ("container", "treatment"),
    [
        ("mov", Treatment.COPY),
        ("matroska", Treatment.COPY),
        ("avi", Treatment.ENCODE),
        ("mpegts", Treatment.ENCODE),
        ("mpeg", Treatment.ENCODE),
    ],
)
def test_only_containers_with_sure_time_stamps_are_copied_from(container, treatment):
    decided = plan(facts(video(), audio(), container=container), Limits())
    assert (decided.video.treatment, decided.audio.treatment) == (treatment, treatment)


@pytest.mark.parametrize("changes", [{"profile": "HE-AAC"}, {"profile": "HE-AACv2"}, {"channels": 6}])
def test_sound_that_plays_everywhere_is_copied(changes):
    assert plan(facts(video(), audio(**changes)), Limits()).audio.treatment is Treatment.COPY


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"codec": "amr_nb"}, "audio_codec"),
        ({"profile": "Main"}, "audio_profile"),
        ({"channels": 8}, "audio_channels"),
        ({"has_extradata": False}, "audio_extradata"),
        ({"cut": True}, "audio_edit_list"),
    ],
    ids=repr,
)
def test_other_sound_is_encoded(changes, code):
    source = facts(video(), audio(**changes))
    assert plan(source, Limits()).audio.treatment is Treatment.ENCODE
    assert code in codes(source)


def test_picture_and_sound_are_decided_upon_apart():
    only_picture = plan(facts(video(), audio(codec="pcm_s16le")), Limits())
    only_sound = plan(facts(video(codec="hevc"), audio()), Limits())
    assert (only_picture.video.treatment, only_picture.audio.treatment) == (Treatment.COPY, Treatment.ENCODE)
    assert (only_sound.video.treatment, only_sound.audio.treatment) == (Treatment.ENCODE, Treatment.COPY)


def test_nothing_is_copied_where_that_is_not_wanted():
    decided = encoded(video(), audio())
    assert (decided.video.treatment, decided.audio.treatment) == (Treatment.ENCODE, Treatment.ENCODE)


def test_an_obstacle_that_is_also_mended_is_told_once():
    assert codes(facts(video(interlaced=True, hdr=Hdr.HLG))).count("hdr") == 1
    assert codes(facts(video(interlaced=True))).count("interlaced") == 1


def test_a_plain_film_is_neither_scaled_nor_recoloured():
    assert filters(video()) == (
        "format=yuv420p,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    )


# Which stream


def test_the_film_is_chosen_and_not_the_larger_still_beside_it():
    still = video(index=0, frames=1, coded_width=4096, coded_height=3072)
    assert plan(facts(still, video(index=1)), Limits()).video.index == 1


def test_the_default_stream_is_chosen_before_a_longer_one():
    longer = video(index=0, frames=900, is_default=False)
    assert plan(facts(longer, video(index=1)), Limits()).video.index == 1


def test_of_equals_the_one_with_most_frames_is_chosen():
    assert plan(facts(video(index=0, frames=30), video(index=1, frames=31)), Limits()).video.index == 1


def test_a_cover_is_no_film():
    assert refusal(facts(video(is_picture=True), audio())) == FailureCode.NO_VIDEO_STREAM


def test_a_film_of_one_frame_is_a_film_if_there_is_no_other():
    assert plan(facts(video(frames=1)), Limits()).video.index == 0


def test_an_unreadable_stream_is_passed_over_for_a_readable_one():
    strange = video(index=0, codec="magicyuv", frames=900)
    assert plan(facts(strange, video(index=1)), Limits()).video.index == 1


def test_the_first_sound_that_can_be_decoded_is_kept():
    source = facts(video(), audio(index=1, codec=""), audio(index=2, codec="aac"), audio(index=3))
    assert plan(source, Limits()).audio.index == 2
    assert "audio_skipped" in codes(source)


def test_no_sound_is_no_reason_to_fail():
    decided = plan(facts(video()), Limits())
    assert (decided.audio.index, decided.audio.treatment) == (None, Treatment.NONE)
    assert "no_audio" in codes(facts(video()))


def test_metadata_tracks_are_left_out_and_mentioned():
    assert "other_streams" in codes(facts(video(), other_streams=3))


# Sound


@pytest.mark.parametrize(
    ("rate", "expected"), [(8000, 48000), (22050, 44100), (44100, 44100), (48000, 48000), (96000, 48000)]
)
def test_sound_gets_the_nearest_common_rate(rate, expected):
    assert encoded(video(), audio(sample_rate=rate)).audio.sample_rate == expected


@pytest.mark.parametrize(("channels", "expected"), [(1, 1), (2, 2), (6, 2)])
def test_sound_has_two_channels_at_most(channels, expected):
    assert encoded(video(), audio(channels=channels)).audio.channels == expected


# Picture


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"coded_width": 3840, "coded_height": 2160}, (1920, 1080)),
        ({"coded_width": 3840, "coded_height": 2160, "rotation": 90}, (1080, 1920)),
        ({"coded_width": 1920, "coded_height": 1080, "rotation": 270}, (1080, 1920)),
        ({"coded_width": 1920, "coded_height": 1080, "rotation": 180}, (1920, 1080)),
        ({"coded_width": 161, "coded_height": 121}, (162, 122)),
        ({"coded_width": 720, "coded_height": 576, "sample_aspect": 16 / 15}, (768, 576)),
        ({"coded_width": 7680, "coded_height": 4320}, (1920, 1080)),
        ({"coded_width": 4000, "coded_height": 3}, (1920, 2)),
        ({"coded_width": 320, "coded_height": 240}, (320, 240)),
    ],
)
def test_the_output_is_upright_even_and_not_too_large(changes, expected):
    decided = encoded(video(**changes))
    assert (decided.video.width, decided.video.height) == expected


def test_the_long_side_can_be_chosen():
    decided = encoded(video(), long_side=1280)
    assert (decided.video.width, decided.video.height) == (1280, 720)


def test_interlaced_pictures_are_made_whole():
    assert filters(video(interlaced=True)).startswith("bwdif=mode=send_frame,")


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_half_pictures_are_joined_as_they_were_filmed(turn: int):
    back, whole, again = {
        90: ("transpose=cclock", "bwdif=mode=send_frame", "transpose=clock"),
        180: ("hflip,vflip", "bwdif=mode=send_frame", "hflip,vflip"),
        270: ("transpose=clock", "bwdif=mode=send_frame", "transpose=cclock"),
    }[turn]
    assert filters(video(interlaced=True, rotation=turn)).startswith(f"{back},{whole},{again},")


def test_the_pictures_of_an_avi_begin_at_once():
    source = facts(video(codec="mjpeg"), container="avi")
    assert plan(source, Limits()).video.filters[0] == "setpts=PTS-STARTPTS"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"torn": True, "container": "mpegts"}, "end_torn"),
        ({"container": "mpegts"}, "end_unknown"),
        ({"container": "mpeg"}, "end_unknown"),
    ],
)
def test_a_doubtful_end_is_told(changes, code):
    assert codes(facts(video(), **changes))[-1] == code
    assert code not in codes(facts(video()))


def test_only_an_index_of_all_frames_is_held_against_the_output():
    assert plan(facts(video()), Limits()).video_duration == 10.0
    assert plan(facts(video(), fragmented=True), Limits()).video_duration is None


def test_more_than_sixty_frames_a_second_are_thinned_out():
    assert filters(video(frame_rate=240.0)).startswith("select=")
    assert "select=" not in filters(video(frame_rate=60.0))


@pytest.mark.parametrize(("hdr", "transfer"), [(Hdr.HLG, "arib-std-b67"), (Hdr.PQ, "smpte2084")])
def test_hdr_is_tone_mapped(hdr, transfer):
    chain = filters(video(hdr=hdr, color_matrix="bt2020nc", color_primaries="bt2020"))
    assert f"tin={transfer}" in chain
    assert "tonemap=tonemap=mobius" in chain


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"color_matrix": "smpte170m"}, "min=smpte170m:rin=tv"),
        ({"color_range": "pc"}, "min=bt709:rin=pc"),
        ({"color_range": "", "pixel_format": "yuvj420p"}, "min=bt709:rin=pc"),
        ({"color_matrix": "", "coded_width": 640, "coded_height": 480}, "min=smpte170m:rin=tv"),
        ({"color_matrix": "", "codec": "mjpeg", "color_range": "pc"}, "min=smpte170m:rin=pc"),
        ({"color_primaries": "smpte432"}, "pin=smpte432"),
    ],
)
def test_other_colours_are_converted_and_not_just_renamed(changes, expected):
    assert expected in filters(video(**changes))


def test_untagged_hd_is_taken_for_bt709():
    assert "zscale" not in filters(video(color_matrix="", color_primaries="", color_transfer=""))


# Refusals


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (facts(audio()), FailureCode.NO_VIDEO_STREAM),
        (facts(video(), encrypted=True), FailureCode.ENCRYPTED),
        (facts(video(codec="magicyuv")), FailureCode.UNSUPPORTED_CODEC),
        (facts(video(codec="hevc", dolby_vision=5)), FailureCode.UNSUPPORTED_CODEC),
        (facts(video(duration=3601.0)), FailureCode.TOO_LONG),
        (facts(video(duration=None), duration=3601.0), FailureCode.TOO_LONG),
        (facts(video(coded_width=16384, coded_height=8704)), FailureCode.TOO_MANY_PIXELS),
        (facts(video(coded_width=0)), FailureCode.DAMAGED),
    ],
)
def test_what_cannot_or_may_not_be_converted_is_refused(source, code):
    assert refusal(source) == code


def test_a_stream_that_knows_better_than_its_container_is_believed():
    assert plan(facts(video(duration=12.08), duration=13.0), Limits()).duration == 12.08


def test_only_an_exact_index_is_held_against_the_output():
    assert plan(facts(video()), Limits()).video_duration == 10.0
    assert plan(facts(video(), container="matroska"), Limits()).video_duration is None
