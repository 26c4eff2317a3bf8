"""What the probe finds out, and what it never repeats."""

from pathlib import Path

import pytest

from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput
from transcoding.engine.facts import Hdr, SourceFacts
from transcoding.engine.probe import probe

from .support import H264, PICTURE, SOUND, Clip


def facts(path: Path) -> SourceFacts:
    return probe(path, Limits())


def refusal(path: Path) -> FailureCode:
    with pytest.raises(BadInput) as refused:
        facts(path)
    return refused.value.code


def test_it_finds_the_technical_facts_of_picture_and_sound(phone_clip: Path):
    found = facts(phone_clip)
    video, audio = found.video[0], found.audio[0]
    assert (found.container, found.size, found.encrypted) == ("mov", phone_clip.stat().st_size, False)
    assert (video.codec, video.pixel_format, video.width, video.height) == ("h264", "yuv420p", 320, 240)
    assert (video.frames, video.frame_rate, video.rotation, video.hdr) == (25, 25.0, 0, Hdr.NONE)
    assert video.duration == pytest.approx(1.0, abs=0.01)
    assert video.has_extradata
    assert (audio.codec, audio.profile, audio.channels, audio.sample_rate) == ("aac", "LC", 1, 44100)


def test_facts_travel_as_json_and_say_nothing_about_place_device_or_person(phone_clip: Path):
    text = facts(phone_clip).to_json()
    assert '"codec":"h264"' in text
    assert not [word for word in ("52.52", "Secretmaker", "Example", "knee") if word in text]


@pytest.mark.parametrize(("turn", "rotation"), [(90, 270), (-90, 90), (180, 180)])
def test_rotation_is_clockwise_and_the_size_is_what_is_shown(clip: Clip, phone_clip: Path, turn, rotation):
    # ffmpeg counts counterclockwise.
    turned = clip(f"turned{turn}.mov", "-display_rotation", str(turn), "-i", phone_clip, "-c", "copy")
    video = facts(turned).video[0]
    assert (video.rotation, video.mirrored) == (rotation, False)
    assert (video.coded_width, video.coded_height) == (320, 240)
    assert (video.width, video.height) == ((320, 240) if turn == 180 else (240, 320))


def test_a_mirrored_picture_is_known(clip: Clip, phone_clip: Path):
    mirrored = clip("mirrored.mov", "-display_hflip", "-i", phone_clip, "-c", "copy")
    assert facts(mirrored).video[0].mirrored


def test_wide_pixels_count_in_the_size(clip: Clip):
    wide = clip("wide.mp4", *PICTURE, "-vf", "scale=240:240,setsar=4/3", *H264)
    video = facts(wide).video[0]
    assert (video.coded_width, video.width, video.height) == (240, 320, 240)


def test_hdr_and_colour_tags_are_known(clip: Clip):
    tags = ("-color_trc", "arib-std-b67", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")
    hlg = clip("hlg-tags.mp4", *PICTURE, *tags, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
               "log-level=0:transfer=arib-std-b67:colorprim=bt2020:colormatrix=bt2020nc")  # fmt: skip
    video = facts(hlg).video[0]
    assert (video.hdr, video.color_primaries, video.color_matrix) == (Hdr.HLG, "bt2020", "bt2020nc")


def test_interlaced_pictures_are_known(clip: Clip):
    interlaced = clip(
        "interlaced.ts", *PICTURE, "-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"
    )
    assert facts(interlaced).video[0].interlaced


def test_frames_are_counted_where_several_tracks_do_not_say(clip: Clip):
    still = ("-f", "lavfi", "-i", "color=size=640x480:rate=25:duration=0.04")
    both = clip("both.mkv", *still, *PICTURE, "-map", "0", "-map", "1", *H264)
    assert [video.frames for video in facts(both).video] == [1, 25]


def test_metadata_streams_are_only_counted(clip: Clip, phone_clip: Path):
    timecode = clip("timecode.mov", "-i", phone_clip, "-c", "copy", "-timecode", "01:00:00:00")
    found = facts(timecode)
    assert (len(found.video), len(found.audio), found.other_streams) == (1, 1, 1)


def test_an_encrypted_film_is_known(clip: Clip):
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb")
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    assert facts(clip("locked.mp4", *PICTURE, *H264, *scheme, *key)).encrypted


def test_a_missing_index_is_damage(phone_clip: Path, tmp_path: Path):
    content = phone_clip.read_bytes()
    cut = tmp_path / "cut.mov"
    cut.write_bytes(content[: content.rindex(b"moov") - 4])
    assert refusal(cut) == FailureCode.DAMAGED


def test_a_header_without_content_is_no_video(tmp_path: Path):
    stub = tmp_path / "stub.mov"
    stub.write_bytes(b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  \x00\x00\x00\x08wide")
    assert refusal(stub) == FailureCode.NOT_A_VIDEO


def test_a_picture_beyond_all_measure_is_refused_before_it_is_decoded(clip: Clip):
    huge = clip("huge.mp4", "-f", "lavfi", "-i", "color=size=8192x4400:duration=0.04", "-c:v", "libx265",
                "-preset", "ultrafast", "-x265-params", "log-level=0")  # fmt: skip
    assert refusal(huge) == FailureCode.TOO_MANY_PIXELS


def test_a_crowd_of_streams_is_refused(clip: Clip):
    crowd = clip("crowd.mov", *PICTURE, *(["-map", "0"] * 80), "-c:v", "mjpeg")
    assert refusal(crowd) == FailureCode.DAMAGED


def test_a_flood_of_metadata_does_not_reach_us(clip: Clip, tmp_path: Path):
    listing = tmp_path / "flood.txt"
    chapters = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={n}\nEND={n + 1}\ntitle=Secret\n" for n in range(900)
    )
    listing.write_text(f";FFMETADATA1\ntitle={'Secret' * 100_000}\n{chapters}")
    flood = clip("flood.mkv", *PICTURE, "-f", "ffmetadata", "-i", listing, "-map_metadata", "1", *H264)
    assert "Secret" not in facts(flood).to_json()


def test_sound_alone_has_no_video(clip: Clip):
    found = facts(clip("sound.mp4", *SOUND, "-c:a", "aac"))
    assert (found.video, len(found.audio)) == ((), 1)
